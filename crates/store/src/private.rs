//! Directories that only their owner may enter. Used where the embedded database, its key and its copies are put.

use std::fs::DirBuilder;
use std::path::Path;

/// Makes a directory (and those above it) that only its owner may enter: a database holds openids and what people were told. One that
/// is there already stays as somebody made it.
///
/// # Errors
/// Where the system does not let us.
pub fn make_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
