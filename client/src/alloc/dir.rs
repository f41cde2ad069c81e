//! An allocation's directory as a capability: whatever is read or written for users goes through it and cannot leave it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use driver::TaskDirs;
use model::id::AllocId;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags};

/// The directory `<data_dir>/alloc/<id>`. Paths given to it are relative; symbolic links are not followed.
#[derive(Debug)]
pub struct AllocDir {
    path: PathBuf,
    root: OwnedFd,
}

impl AllocDir {
    /// Makes the directory with its shared part, or opens it when it is there.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(base: &Path, id: AllocId) -> io::Result<AllocDir> {
        let path = base.join(id.to_string());
        std::fs::create_dir_all(&path)?;
        let dir = AllocDir { root: open_dir(&path)?, path };
        dir.chmod("", 0o755)?;
        for (name, mode) in [("alloc", 0o755), ("alloc/data", 0o777), ("alloc/logs", 0o777), ("alloc/tmp", 0o777)] {
            dir.make(name, mode)?;
        }
        Ok(dir)
    }

    /// Opens a directory that was made before.
    ///
    /// # Errors
    /// What the system says, such as that it is not there.
    pub fn open(base: &Path, id: AllocId) -> io::Result<AllocDir> {
        let path = base.join(id.to_string());
        Ok(AllocDir { root: open_dir(&path)?, path })
    }

    /// Makes a task's directories.
    ///
    /// # Errors
    /// What the system says; a task name that is no plain file name.
    pub fn make_task(&self, task: &str) -> io::Result<TaskDirs> {
        plain_name(task)?;
        for (name, mode) in [("", 0o777), ("/local", 0o777), ("/secrets", 0o777), ("/tmp", 0o1777)] {
            self.make(&format!("{task}{name}"), mode)?;
        }
        Ok(self.task_dirs(task))
    }

    /// Takes over the data of the first of `ancestors`, which have ended, that has a directory below `base`: the shared
    /// one, and what each of `tasks` keeps of its own. What was taken over before is passed over.
    ///
    /// # Errors
    /// What the system says, such as that there is something in this allocation's place already.
    pub fn take_over<'t>(
        &self,
        base: &Path,
        ancestors: &[AllocId],
        tasks: impl Iterator<Item = &'t str>,
    ) -> io::Result<()> {
        for ancestor in ancestors {
            match AllocDir::open(base, *ancestor) {
                Ok(previous) => return self.inherit(&previous, tasks),
                // It was on another node, or never came to make one.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn inherit<'t>(&self, previous: &AllocDir, tasks: impl Iterator<Item = &'t str>) -> io::Result<()> {
        let mut kept = vec![("alloc", "data")];
        for task in tasks {
            self.make_task(task)?;
            kept.push((task, "local"));
        }
        for (parent, name) in kept {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let from = match previous.resolve(parent, flags) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            match rustix::fs::renameat(&from, name, self.resolve(parent, flags)?, name) {
                Err(rustix::io::Errno::NOENT) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Where a task's directories are.
    pub fn task_dirs(&self, task: &str) -> TaskDirs {
        let own = self.path.join(task);
        TaskDirs {
            alloc: self.path.join("alloc"),
            local: own.join("local"),
            secrets: own.join("secrets"),
            logs: self.path.join("alloc/logs"),
            task: own,
        }
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// What the system says; `EXDEV` or `ELOOP` for a path that leads out or over a link.
    pub fn open_file(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(self.resolve(path, flags)?);
        // A pipe or device put there by a task must not hold up or mislead a reader.
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other(format!("{path} is not a file"))) }
    }

    /// Names in a directory, without order.
    ///
    /// # Errors
    /// What the system says.
    pub fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let fd = self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Removes the directory with everything in it; fine when it is gone.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(base: &Path, id: AllocId) -> io::Result<()> {
        match std::fs::remove_dir_all(base.join(id.to_string())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn make(&self, path: &str, mode: u32) -> io::Result<()> {
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        let parent = self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)) {
            Err(rustix::io::Errno::EXIST) | Ok(()) => self.chmod(path, mode),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets a mode whatever the agent's umask is.
    fn chmod(&self, path: &str, mode: u32) -> io::Result<()> {
        let path = if path.is_empty() { "." } else { path };
        let fd = self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC)?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode))?;
        Ok(())
    }

    fn resolve(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(&self.root, path, flags, Mode::empty(), beneath)?)
    }

    /// Size of a file; none when it is not there.
    pub fn size(&self, path: &str) -> Option<u64> {
        let stat = rustix::fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        u64::try_from(stat.st_size).ok()
    }
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn plain_name(name: &str) -> io::Result<()> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if only == name && name != "alloc" => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} cannot name a task's directory"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn data_is_taken_over_once() {
        let base = tempfile::tempdir().unwrap();
        let [old, new] = [1, 2].map(|id| AllocDir::create(base.path(), AllocId(id)).unwrap());
        let (from, to) = (old.make_task("web").unwrap(), new.task_dirs("web"));
        std::fs::write(from.alloc.join("data/shared"), "1").unwrap();
        std::fs::write(from.local.join("own"), "2").unwrap();
        std::fs::write(from.secrets.join("secret"), "3").unwrap();
        for _ in 0..2 {
            // The nearer one has never had a directory.
            new.take_over(base.path(), &[AllocId(9), AllocId(1)], ["web", "fresh"].into_iter()).unwrap();
            assert_eq!(std::fs::read_to_string(to.alloc.join("data/shared")).unwrap(), "1");
            assert_eq!(std::fs::read_to_string(to.local.join("own")).unwrap(), "2");
        }
        assert!(from.secrets.join("secret").exists() && !to.secrets.join("secret").exists());
        let third = AllocDir::create(base.path(), AllocId(3)).unwrap();
        std::fs::write(third.make_task("web").unwrap().local.join("own"), "other").unwrap();
        let refused = new.take_over(base.path(), &[AllocId(3), AllocId(1)], ["web"].into_iter());
        assert!(refused.is_err(), "nothing is overwritten");
        assert_eq!(std::fs::read_to_string(to.local.join("own")).unwrap(), "2");
    }

    #[test]
    fn directories_have_their_modes_and_nothing_leads_out() {
        let base = tempfile::tempdir().unwrap();
        let dir = AllocDir::create(base.path(), AllocId(7)).unwrap();
        let dirs = dir.make_task("web").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&dirs.alloc), 0o755);
        assert_eq!(mode(&dirs.logs), 0o777);
        assert_eq!(mode(&dirs.task), 0o777);
        assert_eq!(mode(&dirs.task.join("tmp")), 0o1777);
        for bad in ["../x", "a/b", "", ".", "..", "alloc", "/etc"] {
            assert!(dir.make_task(bad).is_err(), "{bad:?}");
        }
        std::fs::write(dirs.local.join("file"), "inside").unwrap();
        std::fs::write(base.path().join("secret"), "outside").unwrap();
        std::os::unix::fs::symlink("../../../secret", dirs.local.join("link")).unwrap();
        std::os::unix::fs::symlink("/etc", dirs.local.join("etc")).unwrap();
        assert!(dir.open_file("web/local/file").is_ok());
        for path in ["web/local/link", "web/local/etc/passwd", "../secret", "/etc/passwd", "web/../../secret", "web"] {
            assert!(dir.open_file(path).is_err(), "{path}");
        }
        AllocDir::remove(base.path(), AllocId(7)).unwrap();
        AllocDir::remove(base.path(), AllocId(7)).unwrap();
        assert!(base.path().join("secret").exists());
    }
}
