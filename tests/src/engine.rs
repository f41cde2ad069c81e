//! The real container engine: images built on the spot, containers looked at by label.

use std::process::Command;

/// A small web server's image, made out of the static busybox of this machine.
pub struct Engine;

impl Engine {
    /// Builds `image`: a web server on port 8080 (or `port`) that answers with `page`.
    ///
    /// # Panics
    /// When no engine answers, or busybox is not installed.
    pub fn with_web_image(image: &str, port: u16, page: &str) -> Engine {
        let root = tempfile::tempdir().expect("a scratch directory");
        let path = root.path();
        for dir in ["bin", "www", "tmp", "etc"] {
            std::fs::create_dir(path.join(dir)).expect("a fresh directory");
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| std::path::Path::new(path).exists());
        std::fs::copy(busybox.expect("busybox-static is installed"), path.join("bin/busybox")).expect("a copy");
        for name in ["sh", "wget", "sleep", "cat", "nslookup"] {
            std::os::unix::fs::symlink("busybox", path.join("bin").join(name)).expect("a link");
        }
        std::fs::write(path.join("www/index.html"), page).expect("a page");
        let command = format!("CMD [\"/bin/busybox\",\"httpd\",\"-f\",\"-p\",\"{port}\",\"-h\",\"/www\"]");
        let script = "tar -C \"$1\" -c . | docker import -c \"$2\" - \"$3\"";
        let made = Command::new("sh")
            .args(["-c", script, "sh", &path.to_string_lossy(), &command, image])
            .output()
            .expect("a shell");
        assert!(made.status.success(), "docker import: {}", String::from_utf8_lossy(&made.stderr));
        Engine
    }

    /// Runs the engine's own command line.
    ///
    /// # Panics
    /// When it fails.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker").args(arguments).output().expect("docker is installed");
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ids of the running containers of an allocation.
    pub fn containers_of(&self, alloc: &str) -> Vec<String> {
        let label = format!("label=com.hashicorp.nomad.alloc_id={alloc}");
        self.docker(&["ps", "-q", "--no-trunc", "--filter", &label]).lines().map(str::to_owned).collect()
    }
}
