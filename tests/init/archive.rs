//! The repositories in `shapes/`: after each line `-- path --` the content of that path.

use std::path::Path;

/// Writes the files of a shape below `root`.
pub(crate) fn unpack(name: &str, root: &Path) {
    let shapes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/init/shapes");
    let archive = std::fs::read_to_string(shapes.join(format!("{name}.txt"))).unwrap();
    let mut files = vec![];
    for line in archive.split_inclusive('\n') {
        let path = line
            .strip_prefix("-- ")
            .and_then(|line| line.strip_suffix(" --\n"));
        match (path, files.last_mut()) {
            (Some(path), _) => files.push((root.join(path), String::new())),
            (None, Some((_, text))) => text.push_str(line),
            // What stands before the first file describes the shape.
            (None, None) => {}
        }
    }
    for (file, text) in files {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
}
