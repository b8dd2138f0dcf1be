//! Pages of `docs` that a test holds true: sections between comments with their names, written anew with `KILN_WRITE_DOCS=1`.

use std::path::PathBuf;

/// Each section of the page stands as the code has it.
pub fn holds(page: &str, sections: impl IntoIterator<Item = (&'static str, String)>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(page);
    let mut file = std::fs::read_to_string(&path).unwrap();
    let write = std::env::var_os("KILN_WRITE_DOCS").is_some();
    for (name, text) in sections {
        let (begin, end) = (
            format!("<!-- {name} -->\n"),
            format!("<!-- end of {name} -->"),
        );
        let from = file.find(&begin).expect("the section begins") + begin.len();
        let to = file.find(&end).expect("the section ends");
        if write {
            file.replace_range(from..to, &format!("\n{text}\n"));
        } else {
            assert_eq!(file[from..to].trim(), text.trim(), "{page}, {name}");
        }
    }
    if write {
        std::fs::write(&path, file).unwrap();
    }
}
