//! Reads the path of a SQLite URL, and refuses file systems on which SQLite is not safe.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// File systems that reach over a network or into another kernel. There, processes do not share the memory of the
/// `-shm` file, which SQLite's WAL needs.
const UNSUITABLE: [&str; 17] = [
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "smb2", "9p", "virtiofs", "fuse", "afs", "ceph", "lustre", "beegfs",
    "ncpfs", "coda", "vboxsf", "prl_fs",
];

/// Reads the part of a URL after `sqlite:` as an absolute path.
///
/// `orders.db` is in the working directory; `/var/x.db` and `///var/x.db` are absolute. `%XX` is a byte, so that a name
/// may hold `?` or `%`. A `%` without two hexadecimal digits after it is a plain `%`.
pub(super) fn file(location: &str) -> Result<PathBuf> {
    let path = match location.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => {
            return Err(Error::config(
                "a SQLite URL has no host: write sqlite:orders.db or sqlite:///var/lib/orders.db",
            ));
        }
        None => location,
    };
    let path = decode(path)?;
    if path.is_empty() || path == ":memory:" {
        return Err(Error::config("sqlite: needs the path of a file; for a store without a file, open memory:"));
    }
    std::path::absolute(&path)
        .map_err(|cause| Error::config("the path of the SQLite file cannot be made absolute").with_cause(cause))
}

fn decode(path: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = after.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|path| !path.contains('\0'))
        .ok_or_else(|| Error::config("the path of the SQLite file is not UTF-8 text"))
}

/// Refuses a file on an unsuitable file system. Only Linux tells which one it is.
pub(super) fn refuse_unsuitable(file: &Path) -> Result<()> {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else { return Ok(()) };
    let real = file.canonicalize().or_else(|_| file.parent().unwrap_or(file).canonicalize());
    let Ok(real) = real else { return Ok(()) };
    match file_system(&mounts, &real) {
        Some(kind) if unsuitable(&kind) => Err(Error::config(format!(
            "the SQLite file is on {kind}, where SQLite can lose or damage it: use a local disk (in a container a named volume), or accept the risk with durability=relaxed"
        ))),
        _ => Ok(()),
    }
}

fn unsuitable(kind: &str) -> bool {
    UNSUITABLE.contains(&kind) || kind.starts_with("fuse.")
}

/// The kind of file system of a path, by the text of `/proc/self/mountinfo`: that of the longest mount point, and of
/// the last one among equals.
fn file_system(mounts: &str, path: &Path) -> Option<String> {
    let mounted = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let point = PathBuf::from(unescape(place.split(' ').nth(4)?));
        path.starts_with(&point)
            .then(|| (point.components().count(), kind.split(' ').next().unwrap_or_default().to_owned()))
    });
    mounted.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// Decodes the escapes of a mount point, such as `\040` for a space.
fn unescape(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(point.to_owned(), |point, (code, text)| point.replace(code, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_relative_or_absolute() {
        let here = std::env::current_dir().unwrap();
        let named: &[(&str, PathBuf)] = &[
            ("orders.db", here.join("orders.db")),
            ("data/orders.db", here.join("data/orders.db")),
            ("/abs/x.db", "/abs/x.db".into()),
            ("///abs/x.db", "/abs/x.db".into()),
            ("/a%20b/100%25/what%3F.db", "/a b/100%/what?.db".into()),
            ("/50%/x.db", "/50%/x.db".into()),
            ("/5%zz%4/x.db", "/5%zz%4/x.db".into()),
            ("file:x.db", here.join("file:x.db")),
        ];
        for (location, path) in named {
            assert_eq!(&file(location).unwrap(), path, "{location}");
        }
    }

    #[test]
    fn a_url_without_a_file_is_refused() {
        for location in ["", ":memory:", "//host/x.db", "//orders.db", "//", "/x%00.db", "/x%ff.db"] {
            assert_eq!(file(location).unwrap_err().code(), "config", "{location}");
        }
    }

    #[test]
    fn a_file_lies_on_the_deepest_mount_above_it() {
        let mounts = "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
            30 22 0:30 / /mnt/team\\040share rw - nfs4 server:/x rw\n\
            31 22 0:31 / /mnt/disk rw,relatime shared:3 master:2 - xfs /dev/sdb rw\n\
            32 31 0:32 / /mnt/disk/remote rw - fuse.sshfs me@host:/ rw\n";
        let kinds = [
            ("/home/x.db", "ext4"),
            ("/mnt/team share/x.db", "nfs4"),
            ("/mnt/disk/x.db", "xfs"),
            ("/mnt/disk/remote/a/x.db", "fuse.sshfs"),
            ("/mnt/disk/remoter/x.db", "xfs"),
        ];
        for (path, kind) in kinds {
            assert_eq!(file_system(mounts, Path::new(path)).as_deref(), Some(kind), "{path}");
        }
    }

    #[test]
    fn file_systems_over_a_network_are_unsuitable() {
        for kind in ["nfs", "nfs4", "cifs", "9p", "virtiofs", "fuse", "fuse.sshfs"] {
            assert!(unsuitable(kind), "{kind}");
        }
        for kind in ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuseblk", "apfs"] {
            assert!(!unsuitable(kind), "{kind}");
        }
    }
}
