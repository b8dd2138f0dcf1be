//! Losses and metrics as they are held: built-in ones by reference, those of a user's own shared.

use std::ops::Deref;
use std::ptr;
use std::sync::Arc;

/// A function that is part of the program, or one that was made at run time.
#[derive(Debug)]
pub(crate) enum Held<T: ?Sized + 'static> {
    /// Part of the program, so that constants can hold it.
    Static(&'static T),
    /// Made at run time.
    Shared(Arc<T>),
}

impl<T: ?Sized> Clone for Held<T> {
    fn clone(&self) -> Self {
        match self {
            Held::Static(function) => Held::Static(function),
            Held::Shared(function) => Held::Shared(Arc::clone(function)),
        }
    }
}

impl<T: ?Sized> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Held::Static(function) => function,
            Held::Shared(function) => function,
        }
    }
}

impl<T: ?Sized> Held<T> {
    /// Whether both hold one object, and not two that are alike.
    pub fn is(&self, other: &Self) -> bool {
        ptr::addr_eq::<T, T>(&**self, &**other)
    }
}
