//! The real container engine: images built on the spot, containers looked at by label.

use std::path::Path;
use std::process::Command;

/// A container engine.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    /// Where it answers; none for the machine's own.
    host: Option<String>,
}

impl Engine {
    /// The machine's own engine with `image` built: see [`Engine::build_web_image`].
    ///
    /// # Panics
    /// When no engine answers, or busybox is not installed.
    pub fn with_web_image(image: &str, port: u16, page: &str) -> Engine {
        let engine = Engine::default();
        engine.build_web_image(image, port, page);
        engine
    }

    /// Where it answers, as the docker driver's `endpoint` wants it.
    pub fn endpoint(&self) -> &str {
        self.host.as_deref().unwrap_or("unix:///var/run/docker.sock")
    }

    /// An engine that answers at `host`, such as `unix:///path`.
    pub fn at(host: &str) -> Engine {
        Engine { host: Some(host.to_owned()) }
    }

    /// Builds `image` out of the static busybox of this machine: a web server on `port` that answers with `page`.
    ///
    /// # Panics
    /// When the engine does not answer, or busybox is not installed.
    pub fn build_web_image(&self, image: &str, port: u16, page: &str) {
        let root = tempfile::tempdir().expect("a scratch directory");
        let path = root.path();
        for dir in ["bin", "www", "tmp", "etc"] {
            std::fs::create_dir(path.join(dir)).expect("a fresh directory");
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        std::fs::copy(busybox.expect("busybox-static is installed"), path.join("bin/busybox")).expect("a copy");
        for name in ["sh", "wget", "sleep", "cat", "nslookup", "dd", "usleep", "rm"] {
            std::os::unix::fs::symlink("busybox", path.join("bin").join(name)).expect("a link");
        }
        std::fs::write(path.join("www/index.html"), page).expect("a page");
        let command = format!("CMD [\"/bin/busybox\",\"httpd\",\"-f\",\"-p\",\"{port}\",\"-h\",\"/www\"]");
        let mut shell = Command::new("sh");
        if let Some(host) = &self.host {
            shell.env("DOCKER_HOST", host);
        }
        let script = "tar -C \"$1\" -c . | docker import -c \"$2\" - \"$3\"";
        let made = shell.args(["-c", script, "sh", &path.to_string_lossy(), &command, image]).output();
        let made = made.expect("a shell");
        assert!(made.status.success(), "docker import: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// Runs the engine's own command line.
    ///
    /// # Panics
    /// When it fails.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let mut docker = Command::new("docker");
        if let Some(host) = &self.host {
            docker.env("DOCKER_HOST", host);
        }
        let output = docker.args(arguments).output().expect("docker is installed");
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Ids of the running containers of an allocation.
    pub fn containers_of(&self, alloc: &str) -> Vec<String> {
        let label = format!("label=com.hashicorp.nomad.alloc_id={alloc}");
        self.docker(&["ps", "-q", "--no-trunc", "--filter", &label]).lines().map(str::to_owned).collect()
    }
}
