//! Whether an allocation's host ports are free on this machine, and who has those that are not.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use model::allocation::AllocatedPort;

/// How long ports may take to become free: an engine's proxy can outlive its container by a moment.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The first of `ports` that a program listens on over TCP.
pub(crate) fn taken(ports: &[AllocatedPort]) -> Option<&AllocatedPort> {
    ports.iter().find(|port| {
        let ip = port.host_ip.parse().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        // Any other failure, such as an address that is not this machine's, is for the driver to find.
        TcpListener::bind((ip, port.value)).is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
    })
}

/// Waits a moment until all of `ports` are free.
///
/// # Errors
/// A sentence for users: which port is taken, by whom, and what to do.
pub(crate) async fn become_free(ports: &[AllocatedPort]) -> Result<(), String> {
    let since = Instant::now();
    while let Some(port) = taken(ports) {
        if since.elapsed() > PATIENCE {
            let who = holder(Path::new("/proc"), port.value).unwrap_or_else(|| "another program".to_owned());
            return Err(format!(
                "port {} (\"{}\") of {} is in use by {who}, which drover did not start; stop that, or choose another \
                 port (without `static`, drover chooses a free one)",
                port.value, port.label, port.host_ip
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// The program that listens on a TCP port, as `name (pid 123)`, as far as `/proc` tells.
fn holder(proc: &Path, port: u16) -> Option<String> {
    let tables = ["net/tcp", "net/tcp6"].map(|name| std::fs::read_to_string(proc.join(name)).unwrap_or_default());
    let sockets: Vec<String> = tables.iter().flat_map(|table| listening(table, port)).collect();
    for process in std::fs::read_dir(proc).ok()?.flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let has = |file: std::fs::DirEntry| {
            let target = std::fs::read_link(file.path()).unwrap_or_default();
            sockets.iter().any(|socket| target.as_os_str() == socket.as_str())
        };
        if files.flatten().any(has) {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", name.trim()));
        }
    }
    None
}

/// The sockets of a table such as `/proc/net/tcp` that listen on `port`, as links in `/proc/<pid>/fd` name them.
fn listening(table: &str, port: u16) -> impl Iterator<Item = String> {
    const LISTEN: &str = "0A";
    let end = format!(":{port:04X}");
    table.lines().filter_map(move |line| {
        let cells: Vec<&str> = line.split_ascii_whitespace().collect();
        let ours = cells.get(1)?.ends_with(&end) && *cells.get(3)? == LISTEN;
        ours.then(|| format!("socket:[{}]", cells.get(9).unwrap_or(&"")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(value: u16) -> AllocatedPort {
        AllocatedPort { label: "http".into(), value, host_ip: "127.0.0.1".into(), ..AllocatedPort::default() }
    }

    #[tokio::test]
    async fn a_taken_port_is_told_with_its_holder_and_a_free_one_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ports = [port(listener.local_addr().unwrap().port())];
        let told = become_free(&ports).await.unwrap_err();
        assert!(told.contains(&format!("pid {}", std::process::id())) && told.contains("static"), "{told}");
        let waiting = tokio::spawn(async move { become_free(&ports).await });
        drop(listener);
        assert_eq!(waiting.await.unwrap(), Ok(()));
        let elsewhere = AllocatedPort { host_ip: "192.0.2.200".into(), ..port(1) };
        assert!(taken(&[elsewhere]).is_none(), "an address that is not ours says nothing of the port");
    }
}
