//! A registry of one image, on loopback: what an Engine asks when it pulls, and not more. It wants a user and a password.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Who may pull.
pub const USER: &str = "puller";
/// The password of [`USER`].
pub const PASSWORD: &str = "let me in";
/// `puller:let me in` as it travels, in lower case like all that is compared here.
const BASIC: &str = "basic chvsbgvyomxldcbtzsbpbg==";
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What is answered, by digest; the manifest also by the tag that was asked for.
type Contents = HashMap<String, (&'static str, Vec<u8>)>;

/// Serves until the test ends.
pub struct Registry {
    address: SocketAddr,
}

impl Registry {
    /// Takes `image` out of the Engine and offers it.
    pub fn of(image: &str) -> Registry {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("image.tar");
        super::docker(&["save", "-o", archive.to_str().unwrap(), image]);
        let unpack = Command::new("tar").arg("-C").arg(dir.path()).arg("-xf").arg(&archive).status().unwrap();
        assert!(unpack.success());
        let contents = Arc::new(contents(dir.path()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let contents = contents.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &contents));
            }
        });
        Registry { address }
    }

    /// The image's name for who pulls it from here.
    pub fn image(&self) -> String {
        format!("{}/pulled:1", self.address)
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn contents(unpacked: &Path) -> Contents {
    let list: Value = serde_json::from_slice(&std::fs::read(unpacked.join("manifest.json")).unwrap()).unwrap();
    let read = |name: &Value| std::fs::read(unpacked.join(name.as_str().unwrap())).unwrap();
    let mut contents = Contents::new();
    let mut add = |kind: &'static str, bytes: Vec<u8>| {
        let described = json!({"mediaType": kind, "size": bytes.len(), "digest": digest(&bytes)});
        contents.insert(digest(&bytes), (kind, bytes));
        described
    };
    let config = add("application/vnd.docker.container.image.v1+json", read(&list[0]["Config"]));
    let layers: Vec<Value> = list[0]["Layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| add("application/vnd.docker.image.rootfs.diff.tar", read(layer)))
        .collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
    let bytes = serde_json::to_vec(&manifest).unwrap();
    contents.insert("1".to_owned(), (MANIFEST, bytes.clone()));
    contents.insert(digest(&bytes), (MANIFEST, bytes));
    contents
}

/// Answers one request; the connection is closed then.
fn serve(mut stream: TcpStream, contents: &Contents) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(request)) = lines.next() else { return };
    let headers: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let allowed = headers.iter().any(|line| *line == format!("authorization: {BASIC}"));
    let named = path.rsplit('/').next().and_then(|name| contents.get(name));
    let (status, kind, body): (&str, &str, &[u8]) = match (allowed, named) {
        (false, _) => ("401 Unauthorized", "application/json", b"{}"),
        (true, _) if path == "/v2/" => ("200 OK", "application/json", b"{}"),
        (true, Some((kind, bytes))) => ("200 OK", kind, bytes),
        (true, None) => ("404 Not Found", "application/json", b"{}"),
    };
    let tag = if body.len() > 2 { format!("Docker-Content-Digest: {}\r\n", digest(body)) } else { String::new() };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n{tag}\
         Docker-Distribution-Api-Version: registry/2.0\r\nWWW-Authenticate: Basic realm=\"test\"\r\n\r\n",
        body.len()
    );
    // An Engine that goes away needs no answer.
    let _ = stream.write_all(head.as_bytes());
    if method != "HEAD" {
        let _ = stream.write_all(body);
    }
}
