//! Images of our binaries without an engine: an archive as `docker save` writes it, with what the Dockerfile puts in. The
//! binary, the libraries that it is linked with, the roots of trust, and a user who is not root; no shell.
//! `PORTOLAN_E2E_BINARIES` names a folder with binaries to take instead of building them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::cluster::{programs, tools};
use crate::gateway;

/// An image that was built.
#[derive(Debug, Clone)]
pub struct Image {
    /// As pods name it. The tag comes from the content, so that another content is never taken for it.
    pub name: String,
    /// A docker-archive.
    pub archive: PathBuf,
}

/// What the gateway is told unless a pod says otherwise.
pub const GATEWAY_ARGUMENTS: [&str; 6] = ["--manifests", "/etc/portolan", "--listen", "0.0.0.0:8080", "--admin", "0.0.0.0:9090"];

/// The gateway's, from the release profile.
///
/// # Panics
/// When it cannot be built.
pub async fn gateway() -> Image {
    release("portolan-gateway", &GATEWAY_ARGUMENTS).await
}

/// The operator's, from the release profile.
///
/// # Panics
/// When it cannot be built.
pub async fn operator() -> Image {
    release("portolan-operator", &[]).await
}

/// An image to look at the cluster with from pods, as any user: `/probe serve PORT` answers with the pod's name, `/probe get
/// URL [SECONDS]` and `/probe lookup NAME` print what they find.
///
/// # Panics
/// When it cannot be built.
pub async fn probe() -> Image {
    let built = tokio::task::spawn_blocking(tools::probe).await.expect("a thread");
    built.unwrap_or_else(|missing| panic!("the probe lacks {missing}"))
}

/// Prometheus, as any user: `/prometheus`.
///
/// # Panics
/// When it cannot be built.
pub async fn prometheus() -> Image {
    let built = tokio::task::spawn_blocking(programs::prometheus_image).await.expect("a thread");
    built.unwrap_or_else(|missing| panic!("Prometheus lacks {missing}"))
}

async fn release(name: &'static str, arguments: &'static [&'static str]) -> Image {
    let built = tokio::task::spawn_blocking(move || match std::env::var_os("PORTOLAN_E2E_BINARIES") {
        Some(folder) => of_binary(&Path::new(&folder).join(name), arguments),
        None => of_binary(&gateway::binary_of("release", name), arguments),
    });
    built.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// The image of any binary of ours, with the arguments that it has unless a pod gives others.
///
/// # Panics
/// When the binary is not there.
#[must_use]
pub fn of_binary(binary: &Path, arguments: &[&str]) -> Image {
    let file = binary.file_name().and_then(|name| name.to_str()).expect("a name");
    let inside = format!("/usr/local/bin/{file}");
    let mut layer = Layer::default();
    for folder in ["etc", "etc/ssl", "etc/ssl/certs", "usr", "usr/local", "usr/local/bin"] {
        layer.folder(folder, 0o755);
    }
    layer.folder("tmp", 0o1777);
    layer.file("etc/passwd", 0o644, b"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n");
    layer.file("etc/group", 0o644, b"root:x:0:\nnonroot:x:65532:\n");
    layer.file("etc/nsswitch.conf", 0o644, b"hosts: files dns\n");
    layer.copy(Path::new("/etc/ssl/certs/ca-certificates.crt"), "etc/ssl/certs/ca-certificates.crt", 0o644);
    for library in libraries(binary) {
        layer.copy(&library, library.to_str().expect("a path").trim_start_matches('/'), 0o755);
    }
    layer.copy(binary, inside.trim_start_matches('/'), 0o755);
    let layer = layer.end();
    let short = file.trim_start_matches("portolan-");
    let digest = hex(&layer);
    let name = format!("docker.io/portolan/{short}:{}", &digest[..12]);
    // What the chart asks for when nobody says otherwise.
    let released = format!("docker.io/portolan/{short}:{}", env!("CARGO_PKG_VERSION"));
    let archive = binary.with_file_name(format!("{file}-{}.tar", &digest[..12]));
    if !archive.exists() {
        let partial = archive.with_extension(format!("partial-{}", std::process::id()));
        fs::write(&partial, packed(&[&name, &released], (&layer, &digest), &inside, arguments)).expect("the archive");
        fs::rename(&partial, &archive).expect("the archive in its place");
    }
    Image { name, archive }
}

/// The archive of an image with one static binary.
pub(crate) fn archive_of_one(name: &str, binary: &Path, inside: &str, archive: &Path) {
    let mut layer = Layer::default();
    layer.copy(binary, inside.trim_start_matches('/'), 0o755);
    let layer = layer.end();
    fs::write(archive, packed(&[name], (&layer, &hex(&layer)), inside, &[])).expect("the archive");
}

/// What a binary is linked with, by the loader's own word.
fn libraries(binary: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(binary).output().expect("ldd");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("not found"), "{} lacks libraries: {text}", binary.display());
    let paths = text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

/// An archive of one layer, given with its digest, under these names.
fn packed(names: &[&str], (layer, digest): (&[u8], &str), entrypoint: &str, arguments: &[&str]) -> Vec<u8> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture, "os": "linux",
        "config": {
            "User": "65532:65532", "Entrypoint": [entrypoint], "Cmd": arguments, "WorkingDir": "/",
            "Env": ["PATH=/usr/local/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let config = config.to_string().into_bytes();
    let (config_name, layer_name) = (format!("{}.json", hex(&config)), format!("{digest}/layer.tar"));
    let manifest = json!([{"Config": config_name, "RepoTags": names, "Layers": [layer_name]}]);
    let mut archive = Layer::default();
    archive.file(&config_name, 0o644, &config);
    archive.file(&layer_name, 0o644, layer);
    archive.file("manifest.json", 0o644, manifest.to_string().as_bytes());
    archive.end()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A tar (ustar) without times or owners: same files, same bytes.
#[derive(Default)]
struct Layer {
    bytes: Vec<u8>,
}

impl Layer {
    fn folder(&mut self, name: &str, mode: u32) {
        self.header(&format!("{name}/"), mode, 0, b'5');
    }

    fn copy(&mut self, from: &Path, name: &str, mode: u32) {
        let content = fs::read(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        self.file(name, mode, &content);
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.header(name, mode, content.len(), b'0');
        self.bytes.extend_from_slice(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
    }

    fn header(&mut self, name: &str, mode: u32, size: usize, kind: u8) {
        let mut header = [0_u8; 512];
        let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
        assert!(name.len() < 100, "{name} is too long a name for this tar");
        put(0, name);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{size:011o}"));
        put(136, "00000000000");
        put(148, "        ");
        put(257, "ustar\u{0}00");
        header[156] = kind;
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.bytes.extend_from_slice(&header);
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 1024, 0);
        self.bytes
    }
}
