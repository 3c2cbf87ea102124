//! Gateways on made manifests: a provider for each script of the upstream, and as many keys as asked for.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest as _, Sha256};
use snapshot::keytext;

use crate::Outcome;
use crate::answers::Script;
use crate::process::{Core, Process};

/// Keys of one file; a file has at most 16 MiB.
const KEYS_OF_A_FILE: u32 = 1000;

/// A gateway on its folder.
pub struct Gateway {
    /// The process.
    pub process: Process,
    /// Where its admin port is.
    pub admin: SocketAddr,
    /// The file with its keys, one a line.
    pub keys: PathBuf,
    manifests: PathBuf,
    receipts: PathBuf,
}

/// What a gateway is to be.
pub struct Wanted<'a> {
    /// Its binary.
    pub binary: &'a Path,
    /// The folder of the run; it takes one of its own in there.
    pub folder: &'a Path,
    /// Names that folder.
    pub name: &'a str,
    /// Keys that it knows.
    pub keys: u32,
    /// Cores that it uses.
    pub cores: u16,
    /// The scripted upstream.
    pub upstream: SocketAddr,
    /// TLS on both legs, with the certificate in the run's folder.
    pub tls: bool,
    /// Where it runs.
    pub core: Core,
}

impl Gateway {
    /// Starts one.
    pub fn start(wanted: &Wanted<'_>, scripts: &[Script]) -> Outcome<Self> {
        let own = wanted.folder.join(wanted.name);
        let manifests = own.join("manifests");
        std::fs::create_dir_all(&manifests)?;
        let keys = write_keys(&own, &manifests, wanted.keys)?;
        let scheme = if wanted.tls { "https" } else { "http" };
        std::fs::write(manifests.join("providers.yaml"), providers(scheme, wanted.upstream, scripts)?)?;
        let (ports, receipts) = (own.join("ports"), own.join("receipts"));
        let mut command = wanted.core.command(wanted.binary);
        command.arg("--manifests").arg(&manifests).args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-level", "warn"]);
        command.arg("--cores").arg(wanted.cores.to_string()).arg("--access-log").arg(&receipts).arg("--print-ports").arg(&ports);
        if wanted.tls {
            let (cert, key) = (wanted.folder.join("cert.pem"), wanted.folder.join("key.pem"));
            command.arg("--tls-cert").arg(&cert).arg("--tls-key").arg(key).arg("--extra-ca").arg(cert);
        }
        command.stdout(Stdio::null()).stderr(std::fs::File::create(own.join("log"))?);
        let process = Process::program(command, || told(&ports, "listen"))?;
        let admin = told(&ports, "admin").ok_or("the gateway told no admin port")?;
        Ok(Self { process, admin, keys, manifests, receipts })
    }

    /// Empties the access log: receipts of all rounds together would fill a disk.
    pub fn forget_receipts(&self) -> Outcome<()> {
        Ok(std::fs::OpenOptions::new().write(true).open(&self.receipts)?.set_len(0)?)
    }

    /// Asks the admin port.
    pub fn ask(&self, path: &str) -> Outcome<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.split_once("\r\n\r\n").ok_or("the admin port answers without a head")?.1.to_owned())
    }

    /// The number of the configuration in use.
    pub fn sequence(&self) -> Outcome<u64> {
        let told: serde_json::Value = serde_json::from_str(&self.ask("/internal/config")?)?;
        Ok(told.get("sequence").and_then(serde_json::Value::as_u64).ok_or("no sequence")?)
    }

    /// Receipts that found no room: each is work that was not done.
    pub fn receipts_dropped(&self) -> Outcome<u64> {
        let metrics = self.ask("/metrics")?;
        let line = metrics.lines().find_map(|line| line.strip_prefix("portolan_access_log_dropped_total "));
        Ok(line.map_or(Ok(0), str::parse)?)
    }

    /// Changes one key, in place as an editor that saves well does.
    pub fn edit(&self, round: u32) -> Outcome<()> {
        let text = key_manifest(u32::MAX, &key_text(u32::MAX), &format!("edited-{round}"))?;
        let partial = self.manifests.join(".edited.partial");
        std::fs::write(&partial, text)?;
        Ok(std::fs::rename(partial, self.manifests.join("edited.yaml"))?)
    }
}

/// The name of a script's model.
pub fn model(script: Script) -> String {
    format!("bench-{}", script.segment())
}

/// A file with keys of that number.
fn write_keys(own: &Path, manifests: &Path, count: u32) -> Outcome<PathBuf> {
    let mut texts = String::new();
    for first in (0..count).step_by(KEYS_OF_A_FILE as usize) {
        let mut file = String::new();
        for number in first..count.min(first + KEYS_OF_A_FILE) {
            let text = key_text(number);
            file.push_str(&key_manifest(number, &text, "bench")?);
            writeln!(texts, "{text}")?;
        }
        std::fs::write(manifests.join(format!("keys-{first}.yaml")), file)?;
    }
    let path = own.join("keys");
    std::fs::write(&path, texts)?;
    Ok(path)
}

fn key_manifest(number: u32, text: &str, application: &str) -> Outcome<String> {
    let mut manifest = format!(
        "---\napiVersion: portolan.dev/v1alpha1\nkind: VirtualKey\nmetadata: {{name: key-{number}}}\nspec:\n  owner: {{application: {application}}}\n  source: {{type: Hash, sha256: \""
    );
    for byte in Sha256::digest(text) {
        write!(manifest, "{byte:02x}")?;
    }
    manifest.push_str("\"}\n");
    Ok(manifest)
}

/// A key's text, always the same for the same number.
fn key_text(number: u32) -> String {
    let mut dice = u64::from(number) ^ 0x5851_f42d_4c95_7f2d;
    keytext::mint(&std::array::from_fn(|_| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 56) as u8
    }))
}

fn providers(scheme: &str, upstream: SocketAddr, scripts: &[Script]) -> Outcome<String> {
    let mut text =
        String::from("---\napiVersion: v1\nkind: Secret\nmetadata: {name: credential}\nstringData: {apiKey: sk-of-the-provider}\n");
    for script in scripts {
        let segment = script.segment();
        let (kind, upstream_name) = match script {
            Script::Json | Script::Stream(..) => ("OpenAI", "gpt-4o-mini"),
            Script::Messages | Script::MessageStream(..) => ("Anthropic", "claude-sonnet-4-5"),
        };
        let insecure = scheme == "http";
        writeln!(
            text,
            "---\napiVersion: portolan.dev/v1alpha1\nkind: LLMProvider\nmetadata: {{name: {segment}}}\nspec:\n  type: {kind}\n  endpoint: {{url: \"{scheme}://{upstream}/{segment}/v1\", allowInsecure: {insecure}}}\n  auth: {{secretRef: {{name: credential, key: apiKey}}}}\n  models: [{{name: {}, upstreamName: {upstream_name}}}]",
            model(*script)
        )?;
    }
    Ok(text)
}

fn told(ports: &Path, name: &str) -> Option<SocketAddr> {
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(ports).ok()?).ok()?;
    told.get(name)?.as_str()?.parse().ok()
}
