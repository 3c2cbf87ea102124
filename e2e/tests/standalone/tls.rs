//! TLS and HTTP/2, on both sides.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use e2e::client::{Wire, chat, posting};
use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::{until, upstream};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

struct Pair {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

fn pair() -> Pair {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    Pair { certificate: made.cert.pem(), key: made.signing_key.serialize_pem(), der: made.cert.der().clone() }
}

async fn connect(address: SocketAddr, trusted: &Pair, protocol: &[u8]) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.ok()?;
    let name = ServerName::try_from("localhost").expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()
}

struct House {
    gateway: Gateway,
    key: String,
    files: Folder,
    _folder: Folder,
}

async fn house(first: &Pair, up: &upstream::Upstream) -> House {
    let key = folder::key_text(1);
    let folder = Folder::with(&(folder::provider("up", "OpenAICompatible", up.address, &["m"], "") + &folder::key("k", &key, "")));
    let files = Folder::default();
    files.write("tls.crt", &first.certificate);
    files.write("tls.key", &first.key);
    let path = |name: &str| files.path().join(name).display().to_string();
    let gateway = Gateway::start(folder.path(), &["--tls-cert", &path("tls.crt"), "--tls-key", &path("tls.key")]).await;
    House { gateway, key, files, _folder: folder }
}

async fn hello() -> upstream::Upstream {
    upstream::Upstream::start(|_| upstream::json(200, &upstream::chat_answer("m", "hello"))).await
}

#[tokio::test]
async fn http_1_and_http_2_are_served_over_tls() {
    let (own, up) = (pair(), hello().await);
    let house = house(&own, &up).await;
    let mut wire = Wire::over(connect(house.gateway.listen, &own, b"http/1.1").await.expect("TLS"));
    wire.send(posting("/v1/chat/completions", &house.key, &chat("m", false))).await;
    assert_eq!(wire.answer().await.expect("an answer").status, 200);

    let stream = connect(house.gateway.listen, &own, b"h2").await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    let driving = tokio::spawn(connection);
    let asked = (0..50).map(|_| {
        let mut sender = sender.clone();
        let request = http::Request::post("https://localhost/v1/chat/completions").header("x-api-key", &house.key);
        let request = request.body(Full::new(Bytes::from(chat("m", false)))).expect("a request");
        async move {
            let response = sender.send_request(request).await.expect("a response");
            (response.status(), response.into_body().collect().await.expect("a body").to_bytes())
        }
    });
    let mut all = tokio::task::JoinSet::new();
    asked.for_each(|call| drop(all.spawn(call)));
    for (status, body) in all.join_all().await {
        assert_eq!((status.as_u16(), &body[..]), (200, upstream::chat_answer("m", "hello").as_bytes()));
    }
    driving.abort();
}

#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart_and_a_bad_one_leaves_the_old() {
    let (old, new, up) = (pair(), pair(), hello().await);
    let house = house(&old, &up).await;
    let listen = house.gateway.listen;
    let mut before = Wire::over(connect(listen, &old, b"http/1.1").await.expect("TLS"));
    house.files.write("tls.crt", &new.certificate);
    until("half a change is told", async || house.gateway.log().contains("the old one stays").then_some(())).await;
    assert!(connect(listen, &old, b"http/1.1").await.is_some(), "the key does not fit yet, so the old pair serves");
    house.files.write("tls.key", &new.key);
    until("the new certificate is served", async || connect(listen, &new, b"http/1.1").await.map(drop)).await;
    assert!(connect(listen, &old, b"http/1.1").await.is_none());
    before.send(posting("/v1/chat/completions", &house.key, &chat("m", false))).await;
    assert_eq!(before.answer().await.expect("an open connection goes on").status, 200);
}

#[tokio::test]
async fn plain_text_on_the_tls_port_disturbs_nobody() {
    let (own, up) = (pair(), hello().await);
    let house = house(&own, &up).await;
    let mut plain = Wire::to(house.gateway.listen).await;
    plain.send(posting("/v1/chat/completions", &house.key, &chat("m", false))).await;
    assert!(plain.answer().await.is_none());
    assert!(connect(house.gateway.listen, &own, b"http/1.1").await.is_some());
}

/// A provider behind TLS that offers HTTP/2 and counts connections.
async fn secure_provider(own: &Pair) -> (SocketAddr, Arc<std::sync::atomic::AtomicUsize>, tokio::task::JoinHandle<()>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::pem::PemObject::from_pem_slice(own.key.as_bytes()).expect("a key");
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_no_client_auth().with_single_cert(vec![own.der.clone()], key).expect("a pair");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = connections.clone();
    let serving = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), counted.clone());
            open.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                    let version = format!("{:?}", request.version());
                    drop(request.into_body().collect().await);
                    let answer = upstream::chat_answer("m", &version);
                    let response = http::Response::builder().header("content-type", "application/json");
                    response.body(Full::new(Bytes::from(answer)))
                });
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                drop(serving.serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    (address, connections, serving)
}

#[tokio::test]
async fn a_provider_behind_a_private_authority_is_spoken_to_in_http_2_on_one_connection() {
    let own = pair();
    let (address, connections, serving) = secure_provider(&own).await;
    let key = folder::key_text(1);
    let provider = folder::provider("up", "OpenAICompatible", address, &["m"], "").replace("http://127.0.0.1", "https://localhost");
    let folder = Folder::with(&(provider + &folder::key("k", &key, "")));
    let files = Folder::default();
    files.write("ca.pem", &own.certificate);
    let untrusting = Gateway::start(folder.path(), &[]).await;
    let refused = e2e::client::post(untrusting.listen, "/v1/chat/completions", &key, &chat("m", false)).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "upstream_unreachable"), "without the extra CA nothing is trusted");
    let ca = files.path().join("ca.pem").display().to_string();
    let gateway = Gateway::start(folder.path(), &["--extra-ca", &ca, "--cores", "1"]).await;
    for _ in 0..10 {
        let answer = e2e::client::post(gateway.listen, "/v1/chat/completions", &key, &chat("m", false)).await;
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "HTTP/2.0", "{}", answer.text());
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::Relaxed), 1, "the connection is used again");
    serving.abort();
}
