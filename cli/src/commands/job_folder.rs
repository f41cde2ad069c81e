//! The files beside a job file, for the functions that read them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use jobspec::Files;

/// The largest file that a function reads.
const MAX_FILE: u64 = 1024 * 1024;
/// The most files that a pattern is held against.
const MAX_LISTED: usize = 10_000;
/// Folders below the one that is listed.
const MAX_DEPTH: usize = 32;

/// The folder of a job file.
#[derive(Debug)]
pub struct JobFolder(PathBuf);

impl JobFolder {
    /// The folder that the file at `path` lies in; the present one for standard input.
    pub fn of(path: &str) -> JobFolder {
        let parent = if path == "-" { None } else { Path::new(path).parent() };
        JobFolder(
            std::path::absolute(parent.unwrap_or(Path::new("")))
                .unwrap_or_else(|_| std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))),
        )
    }

    fn list_into(folder: &Path, lead: &str, depth: usize, found: &mut Vec<String>) -> Result<(), String> {
        let wrong = |why: std::io::Error| format!("{}: {why}", folder.display());
        for entry in std::fs::read_dir(folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let name = format!("{lead}{}", entry.file_name().to_string_lossy());
            let kind = std::fs::metadata(entry.path());
            match kind {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH && !entry.path().is_symlink() => {
                    Self::list_into(&entry.path(), &format!("{name}/"), depth + 1, found)?;
                }
                Ok(kind) if kind.is_file() => found.push(name),
                _ => {}
            }
            if found.len() > MAX_LISTED {
                return Err(format!("{} holds more than {MAX_LISTED} files", folder.display()));
            }
        }
        Ok(())
    }
}

impl Files for JobFolder {
    fn base(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    fn home(&self) -> Option<String> {
        std::env::var("HOME").ok().filter(|home| !home.is_empty())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let path = self.0.join(path);
        let wrong = |why: std::io::Error| format!("{}: {why}", path.display());
        let kind = std::fs::metadata(&path).map_err(wrong)?;
        if !kind.is_file() {
            return Err(format!("{} is no file", path.display()));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&path).map_err(wrong)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(wrong)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("{} is larger than 1 MiB", path.display()));
        }
        Ok(bytes)
    }

    fn exists(&self, path: &str) -> Result<bool, String> {
        let path = self.0.join(path);
        match std::fs::metadata(&path) {
            Ok(kind) if kind.is_file() => Ok(true),
            Ok(_) => Err(format!("{} is no file", path.display())),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(why) => Err(format!("{}: {why}", path.display())),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        Self::list_into(&self.0.join(folder), "", 0, &mut found)?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_read_what_lies_beside_the_job_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("conf")).unwrap();
        std::fs::write(folder.path().join("conf/a.txt"), "some text").unwrap();
        std::fs::write(folder.path().join("conf/b.bin"), [0xff, 0]).unwrap();
        let source = r#"job "files" {
  meta = {
    text   = file("conf/a.txt")
    binary = filebase64("./conf/b.bin")
    there  = "${fileexists("conf/a.txt")} ${fileexists("conf/c.txt")}"
    set    = join(" ", fileset("conf", "*.t?t"))
    all    = join(" ", fileset(".", "**"))
    name   = basename("/x/y.hcl")
    folder = dirname("/x/y.hcl")
    clean  = abspath("conf/../z")
  }
}
"#;
        let job_file = folder.path().join("web.hcl");
        let files = std::sync::Arc::new(JobFolder::of(&job_file.to_string_lossy()));
        let options = jobspec::ParseOptions { files: Some(files), ..jobspec::ParseOptions::default() };
        let meta = jobspec::parse(source, "web.hcl", &options).unwrap().job.meta.unwrap();
        let expected = [
            ("text", "some text"),
            ("binary", "/wA="),
            ("there", "true false"),
            ("set", "a.txt"),
            ("all", "conf/a.txt conf/b.bin"),
            ("name", "y.hcl"),
            ("folder", "/x"),
        ];
        for (key, value) in expected {
            assert_eq!(meta[key], value, "{key}");
        }
        assert_eq!(meta["clean"], folder.path().join("z").to_string_lossy());
        for expression in ["file(\"conf/b.bin\")", "file(\"missing\")", "file(\"conf\")", "fileset(\"none\", \"*\")"] {
            let source = format!("job \"x\" {{\n  region = jsonencode({expression})\n}}\n");
            assert!(jobspec::parse(&source, "web.hcl", &options).is_err(), "{expression}");
        }
    }
}
