//! Cgroups (v2) of this host: what tells one from another, and whether anyone in one lives.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::fstatfs;

/// What `statfs` says of the file system.
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// Path in the hierarchy, and inode, of the cgroup that has this directory.
pub(crate) fn name(directory: &Path) -> io::Result<(String, u64)> {
    let directory = directory.canonicalize()?;
    let opened = File::open(&directory)?;
    if !is_cgroup(&opened) {
        return Err(io::Error::other("no cgroup (v2)"));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let path = mounts.lines().filter_map(Mount::parse).find_map(|mount| mount.path_of(&directory));
    let path = path.ok_or_else(|| io::Error::other("no mount of the cgroups (v2) shows it"))?;
    Ok((path, opened.metadata()?.ino()))
}

/// Whether anyone in the cgroup lives: then its `cgroup.events`, which becomes urgent (`POLLPRI`) when that changes. The
/// cgroup is named from the cgroup namespace of this process. One that is gone was empty: no other can be removed.
///
/// An error proves nothing.
pub(crate) fn living(path: &str, inode: u64) -> io::Result<Option<File>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let directory = mounts.lines().filter_map(Mount::parse).find_map(|mount| mount.directory_of(path));
    let directory = directory.ok_or_else(|| io::Error::other("no mount of the cgroups (v2) shows it"))?;
    match File::open(&directory) {
        Ok(opened) if is_cgroup(&opened) && opened.metadata()?.ino() == inode => living_in(&directory),
        Ok(_) => Err(io::Error::other("another one has its path")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => gone(&directory).map(|()| None),
        Err(error) => Err(error),
    }
}

fn living_in(directory: &Path) -> io::Result<Option<File>> {
    let events = match File::open(directory.join("cgroup.events")) {
        Ok(events) => events,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return gone(directory).map(|()| None),
        Err(error) => return Err(error),
    };
    let mut buffer = [0; 256];
    let length = events.read_at(&mut buffer, 0)?;
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    match text.lines().find_map(|line| line.strip_prefix("populated ")) {
        Some("0") => Ok(None),
        Some("1") => Ok(Some(events)),
        _ => Err(io::Error::other("its cgroup.events cannot be read")),
    }
}

/// Succeeds where a directory that is not there is indeed none of the hierarchy, and not merely hidden by another mount.
fn gone(directory: &Path) -> io::Result<()> {
    for ancestor in directory.ancestors().skip(1) {
        match File::open(ancestor) {
            Ok(opened) if is_cgroup(&opened) => return Ok(()),
            Ok(_) => return Err(io::Error::other("another file system is mounted there")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(io::ErrorKind::NotFound))
}

fn is_cgroup(opened: &impl AsFd) -> bool {
    fstatfs(opened).is_ok_and(|found| u64::try_from(found.f_type) == Ok(CGROUP2_SUPER_MAGIC))
}

/// A mount of the hierarchy of cgroup v2.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
}

impl<'a> Mount<'a> {
    /// A line of `mountinfo`.
    fn parse(line: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // A path with spaces or the like is written in another form; none is made there.
        let usable = kind.starts_with("cgroup2 ") && !root.contains('\\') && !point.contains('\\');
        usable.then_some(Self { root, point })
    }

    fn directory_of(&self, path: &str) -> Option<PathBuf> {
        let below = path.strip_prefix(self.root.trim_end_matches('/'))?;
        let fits = below.is_empty() || below.starts_with('/');
        let plain = below.split('/').all(|part| part != "..");
        (fits && plain).then(|| Path::new(self.point).join(below.trim_start_matches('/')))
    }

    fn path_of(&self, directory: &Path) -> Option<String> {
        let below = directory.strip_prefix(self.point).ok()?.to_str()?;
        let path = format!("{}/{below}", self.root.trim_end_matches('/'));
        Some(if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_shows_what_lies_below_its_root() {
        let line = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:3 - cgroup2 cgroup2 rw";
        let mount = Mount::parse(line).unwrap();
        let directory = Path::new("/sys/fs/cgroup/unified/a/b");
        assert_eq!(mount.directory_of("/a/b").unwrap(), directory);
        assert_eq!(mount.path_of(directory).unwrap(), "/a/b");
        assert_eq!(mount.directory_of("/a/../../../x"), None);
        assert_eq!(mount.path_of(Path::new("/sys/fs/cgroup/unifiedx")), None);

        let inner = Mount::parse("41 31 0:38 /a /run/c rw - cgroup2 cgroup2 rw").unwrap();
        assert_eq!(inner.directory_of("/a/b").unwrap(), Path::new("/run/c/b"));
        assert_eq!(inner.directory_of("/ab"), None);
        assert_eq!(inner.path_of(Path::new("/run/c/b")).unwrap(), "/a/b");
    }

    #[test]
    fn other_mounts_show_no_cgroups() {
        for line in
            ["32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", "1 2 0:3 / / rw - ext4 /dev/x rw", "x"]
        {
            assert!(Mount::parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn an_ordinary_folder_is_no_cgroup() {
        let folder = tempfile::tempdir().unwrap();
        assert!(name(folder.path()).is_err());
        assert!(gone(&folder.path().join("x")).is_err());
    }
}
