//! Archives that are the same whenever they are made of the same, and their sums.

use std::io::{Cursor, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// A file of an archive.
pub(super) struct Entry {
    /// Its path in the archive's folder.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Whether it may be executed.
    pub(super) program: bool,
}

impl Entry {
    pub(super) fn read(path: &Path, name: &str, program: bool) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Self { name: name.to_owned(), bytes, program })
    }

    fn mode(&self) -> u32 {
        if self.program { 0o755 } else { 0o644 }
    }
}

/// A `.tar.gz` with everything in one folder, owned by nobody in particular.
pub(super) fn tar_gz(folder: &str, entries: &[Entry], at: u64) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(entry.mode());
        header.set_mtime(at);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, format!("{folder}/{}", entry.name), entry.bytes.as_slice())?;
    }
    Ok(tar.into_inner()?.finish()?)
}

/// A `.zip`, for Windows. Its times are those of the format's beginning.
pub(super) fn zip(folder: &str, entries: &[Entry], _at: u64) -> Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(entry.mode());
        zip.start_file(format!("{folder}/{}", entry.name), options)?;
        zip.write_all(&entry.bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// `SHA256SUMS` over every archive in the folder, as `sha256sum -c` reads it.
pub(super) fn write_sums(folder: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".tar.gz") || name.ends_with(".zip") {
            let sum = hex::encode(Sha256::digest(std::fs::read(&path)?));
            lines.push(format!("{sum}  {name}\n"));
        }
    }
    lines.sort_by(|a, b| a[64..].cmp(&b[64..]));
    std::fs::write(folder.join("SHA256SUMS"), lines.concat()).context("SHA256SUMS cannot be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |name: &str, program| Entry { name: name.to_owned(), bytes: name.into(), program };
        vec![entry("hongyan", true), entry("packaging/nginx.conf", false)]
    }

    #[test]
    fn the_same_packs_to_the_same() {
        let once = tar_gz("hongyan-1", &entries(), 1_700_000_000).unwrap();
        assert_eq!(once, tar_gz("hongyan-1", &entries(), 1_700_000_000).unwrap());
        assert_eq!(zip("hongyan-1", &entries(), 0).unwrap(), zip("hongyan-1", &entries(), 7).unwrap());
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(once.as_slice()));
        let seen: Vec<(String, u32)> = tar
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap()))
            .collect();
        let expected = [("hongyan-1/hongyan", 0o755), ("hongyan-1/packaging/nginx.conf", 0o644)];
        assert_eq!(seen, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }
}
