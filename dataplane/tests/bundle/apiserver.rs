//! As much of an API server as a pod asks of one, on loopback, behind TLS: lists, gets, watches with versions, bookmarks,
//! compaction; and faults on demand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dataplane::source::ApiServer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::published::{INDEX, Stored};

/// What goes wrong.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// Every answer has this status.
    Status(u16),
    /// Parts have this status.
    Parts(u16),
    /// Connections are closed unanswered.
    Closed,
    /// Watches end as soon as they begin.
    ShortWatches,
}

/// How a watch from a version that is gone is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    Status,
    Event,
}

struct State {
    version: u64,
    compacted: u64,
    gone: Gone,
    objects: BTreeMap<String, (u64, Vec<u8>, bool)>,
    history: Vec<(u64, String)>,
    asked: Vec<(String, String)>,
    fault: Fault,
}

/// A running one. Ends with the test.
pub struct Api {
    address: SocketAddr,
    account: TempDir,
    state: Arc<Mutex<State>>,
    /// Told when there is news for watches; a higher first number ends them.
    news: watch::Sender<(u64, u64)>,
    tls: tokio_rustls::TlsAcceptor,
    accepting: Option<JoinHandle<()>>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Api {
    pub async fn start(stored: &Stored) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a configuration");
        let account = TempDir::new().expect("a folder");
        std::fs::write(account.path().join("ca.crt"), made.cert.pem()).expect("a file");
        std::fs::write(account.path().join("token"), "token-1\n").expect("a file");
        let state = State {
            version: 100,
            compacted: 0,
            gone: Gone::Status,
            objects: BTreeMap::new(),
            history: Vec::new(),
            asked: Vec::new(),
            fault: Fault::None,
        };
        let mut api = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            account,
            state: Arc::new(Mutex::new(state)),
            news: watch::Sender::new((0, 0)),
            tls: Arc::new(config).into(),
            accepting: None,
        };
        api.write(stored);
        api.listen().await;
        api
    }

    /// Begins to listen, on the same port as before.
    pub async fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("a port");
        self.address = listener.local_addr().expect("an address");
        let (state, news, tls) = (self.state.clone(), self.news.clone(), self.tls.clone());
        self.accepting = Some(tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (state, tls, news) = (state.clone(), tls.clone(), news.subscribe());
                connections.spawn(async move { serve(tcp, tls, state, news).await });
            }
        }));
    }

    /// Stops at once: connections break, nothing listens.
    pub fn stop(&mut self) {
        self.accepting.take().inspect(JoinHandle::abort);
    }

    pub fn server(&self) -> ApiServer {
        ApiServer { host: "127.0.0.1".to_owned(), port: self.address.port(), account: self.account.path().to_owned() }
    }

    /// As the kubelet rotates it.
    pub fn rotate_token(&self, token: &str) {
        std::fs::write(self.account.path().join("token"), token).expect("a file");
    }

    /// Makes the objects these: those that are equal stay untouched, those that are gone are deleted. The index last.
    pub fn write(&self, stored: &Stored) {
        let mut state = self.state();
        let mut names: Vec<&String> = stored.keys().collect();
        names.sort_by_key(|name| name.as_str() == INDEX);
        for name in names {
            let (bytes, secret) = &stored[name];
            if state.objects.get(name).is_none_or(|(_, before, _)| before != bytes) {
                state.version += 1;
                let version = state.version;
                state.objects.insert(name.clone(), (version, bytes.clone(), *secret));
                state.note(name, "MODIFIED");
            }
        }
        let gone: Vec<String> = state.objects.keys().filter(|name| !stored.contains_key(*name)).cloned().collect();
        for name in gone {
            state.version += 1;
            state.note(&name, "DELETED");
            state.objects.remove(&name);
        }
        drop(state);
        self.news.send_modify(|news| news.1 += 1);
    }

    pub fn bookmark(&self) {
        let mut state = self.state();
        let version = state.version;
        let line = json!({ "type": "BOOKMARK", "object": { "metadata": { "resourceVersion": version.to_string() } } });
        state.history.push((version, line.to_string()));
        drop(state);
        self.news.send_modify(|news| news.1 += 1);
    }

    /// Forgets all versions before now.
    pub fn compact(&self, gone: Gone) {
        let mut state = self.state();
        state.version += 1;
        (state.compacted, state.gone) = (state.version, gone);
        state.history.clear();
    }

    /// Ends all watches, in order.
    pub fn end_watches(&self) {
        self.news.send_modify(|news| news.0 += 1);
    }

    pub fn fail(&self, fault: Fault) {
        self.state().fault = fault;
    }

    /// Paths and tokens of all questions so far.
    pub fn asked(&self) -> Vec<(String, String)> {
        self.state().asked.clone()
    }

    /// Names of the parts that were asked for, and forgets all questions.
    pub fn parts_asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.state().asked);
        asked
            .into_iter()
            .filter(|(path, _)| !path.contains('?'))
            .filter_map(|(path, _)| Some(path.rsplit('/').next()?.to_owned()))
            .collect()
    }

    /// How many watches were asked for so far.
    pub fn watches(&self) -> usize {
        self.asked().iter().filter(|(path, _)| path.contains("watch=true")).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a lock")
    }
}

impl State {
    fn note(&mut self, name: &str, kind: &str) {
        if name == INDEX {
            let mut object = self.object(name).expect("it is there");
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
            self.history.push((self.version, json!({ "type": kind, "object": object }).to_string()));
        }
    }

    fn object(&self, name: &str) -> Option<Value> {
        let (version, bytes, secret) = self.objects.get(name)?;
        let metadata = json!({ "name": name, "namespace": "default", "resourceVersion": version.to_string(), "managedFields": [{}] });
        Some(if name == INDEX {
            json!({ "metadata": metadata, "data": { "index": String::from_utf8_lossy(bytes) } })
        } else if *secret {
            json!({ "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": { "part": STANDARD.encode(bytes) } })
        } else {
            json!({ "kind": "ConfigMap", "metadata": metadata, "binaryData": { "part": STANDARD.encode(bytes) } })
        })
    }

    /// The whole answer to a question, or the version from which it watches.
    fn answer(&self, path: &str) -> Result<(u16, Value), u64> {
        let part = !path.contains('?');
        match self.fault {
            Fault::Status(status) => return Ok((status, json!({ "kind": "Status", "message": "a fault", "code": status }))),
            Fault::Parts(status) if part => return Ok((status, json!({ "kind": "Status", "message": "a fault of parts" }))),
            Fault::None | Fault::Parts(_) | Fault::Closed | Fault::ShortWatches => {}
        }
        let (resource, query) = path.split_once('?').unwrap_or((path, ""));
        let collection = "/api/v1/namespaces/default/configmaps";
        if part {
            let (kind, name) = resource.strip_prefix("/api/v1/namespaces/default/").and_then(|rest| rest.split_once('/')).expect("a name");
            let secret = kind == "secrets";
            let found = self.objects.get(name).filter(|(_, _, stored)| *stored == secret).and_then(|_| self.object(name));
            return Ok(found.map_or((404, json!({ "kind": "Status", "message": "not found" })), |object| (200, object)));
        }
        assert_eq!(resource, collection, "nothing else is listed");
        assert!(query.contains(&format!("fieldSelector=metadata.name%3D{INDEX}")), "only the index is listed, by its name: {query}");
        if query.contains("watch=true") {
            assert!(query.contains("allowWatchBookmarks=true") && query.contains("timeoutSeconds="), "{query}");
            let from = query.split("resourceVersion=").nth(1).and_then(|rest| rest.split('&').next()?.parse().ok()).expect("a version");
            if from < self.compacted && self.gone == Gone::Status {
                return Ok((410, json!({ "kind": "Status", "message": "too old resource version" })));
            }
            return Err(from);
        }
        let items: Vec<Value> = self.object(INDEX).into_iter().collect();
        Ok((200, json!({ "kind": "ConfigMapList", "metadata": { "resourceVersion": self.version.to_string() }, "items": items })))
    }
}

async fn serve(
    tcp: TcpStream,
    tls: tokio_rustls::TlsAcceptor,
    state: Arc<Mutex<State>>,
    mut news: watch::Receiver<(u64, u64)>,
) -> Option<()> {
    let mut stream = tls.accept(tcp).await.ok()?;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).expect("text");
        let path = head.split(' ').nth(1).expect("a path").to_owned();
        let token = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap_or_default().to_owned();
        let (answer, fault) = {
            let mut state = state.lock().expect("a lock");
            state.asked.push((path.clone(), token));
            (state.answer(&path), state.fault)
        };
        if fault == Fault::Closed {
            return None;
        }
        match answer {
            Ok((status, body)) => {
                let body = body.to_string();
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.ok()?;
                stream.flush().await.ok()?;
            }
            Err(from) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
                stream.flush().await.ok()?;
                if fault != Fault::ShortWatches {
                    watch_from(&mut stream, &state, &mut news, from).await?;
                }
                stream.write_all(b"0\r\n\r\n").await.ok()?;
                stream.flush().await.ok()?;
            }
        }
    }
}

async fn watch_from(
    stream: &mut tokio_rustls::server::TlsStream<TcpStream>,
    state: &Arc<Mutex<State>>,
    news: &mut watch::Receiver<(u64, u64)>,
    mut from: u64,
) -> Option<()> {
    let ends = news.borrow_and_update().0;
    loop {
        let ended = news.borrow_and_update().0 != ends;
        let lines: Vec<String> = {
            let state = state.lock().expect("a lock");
            if from < state.compacted && state.gone == Gone::Event {
                let object = json!({ "kind": "Status", "code": 410, "reason": "Expired" });
                vec![json!({ "type": "ERROR", "object": object }).to_string()]
            } else {
                let new = state.history.iter().filter(|(version, line)| *version > from || (*version == from && line.contains("BOOKMARK")));
                let lines = new.map(|(_, line)| line.clone()).collect();
                from = from.max(state.history.last().map_or(0, |(version, _)| *version));
                lines
            }
        };
        for line in lines {
            // In two pieces, so that a reader meets half lines.
            let line = line + "\n";
            for piece in [&line[..line.len() / 2], &line[line.len() / 2..]] {
                stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await.ok()?;
                stream.flush().await.ok()?;
            }
        }
        if ended {
            return Some(());
        }
        news.changed().await.ok()?;
    }
}
