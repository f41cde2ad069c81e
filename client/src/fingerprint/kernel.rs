//! Kernel, distribution, signals, cgroups and host name.

use super::Found;

/// The signals a task can be sent.
pub(crate) const SIGNALS: &str = "SIGABRT,SIGALRM,SIGBUS,SIGCHLD,SIGCONT,SIGFPE,SIGHUP,SIGILL,SIGINT,SIGIO,SIGIOT,\
SIGKILL,SIGNULL,SIGPIPE,SIGPROF,SIGQUIT,SIGSEGV,SIGSTOP,SIGSYS,SIGTERM,SIGTRAP,SIGTSTP,SIGTTIN,SIGTTOU,SIGUSR1,\
SIGUSR2,SIGWINCH,SIGXCPU,SIGXFSZ";

pub(super) fn look(found: &mut Found) {
    let uname = rustix::system::uname();
    found.set("kernel.name", uname.sysname().to_string_lossy().to_lowercase());
    found.set("kernel.arch", uname.machine().to_string_lossy());
    found.set("kernel.version", uname.release().to_string_lossy());
    found.set("unique.hostname", uname.nodename().to_string_lossy());
    found.set("os.signals", SIGNALS);
    let version = if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "2" } else { "1" };
    found.set("os.cgroups.version", version);
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |name: &str| {
        let lines = release.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned()).next()
    };
    found.set("os.name", field("ID").unwrap_or_else(|| "linux".to_owned()));
    let debian = super::first_line("/etc/debian_version");
    let exact = if field("ID").as_deref() == Some("debian") && !debian.is_empty() { Some(debian) } else { None };
    found.set("os.version", exact.or_else(|| field("VERSION_ID")).unwrap_or_default());
    let machine = super::first_line("/etc/machine-id");
    if !machine.is_empty() {
        found.set("unique.host_id", machine);
    }
}
