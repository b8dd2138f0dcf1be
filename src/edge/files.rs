//! Files and folders of the system.

pub(crate) use std::fs::{
    File, OpenOptions, Permissions, create_dir_all, metadata, read_dir, read_link, read_to_string,
    remove_file, rename, set_permissions,
};
