//! What is offered to a provider in a TLS handshake: HTTP/2 for calls, and never for a session, which HTTP/1.1 opens.

use std::sync::Arc;

use dataplane::exchange::websocket_accept;
use dataplane::upstream::dial::Network;
use dataplane::upstream::tls::Trust;
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::client::Call;
use crate::house::House;
use crate::manifests::{key, provider_of, text_of};
use crate::provider::Pipes;

/// A provider behind TLS that would rather speak HTTP/2.
struct Tls {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

/// A connection, what the gateway offered on it, and what was chosen.
struct Offered {
    stream: TlsStream<TcpStream>,
    offers: Vec<String>,
    chosen: String,
}

impl Tls {
    /// The provider, and what the gateway must trust.
    async fn start() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let mut config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).expect("a pair");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        (Self { listener, config: Arc::new(config) }, made.cert.pem())
    }

    async fn next(&self) -> Offered {
        let (tcp, _) = self.listener.accept().await.expect("a connection");
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp).await.expect("a hello");
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let offers = hello.client_hello().alpn().into_iter().flatten().map(text).collect();
        let stream = hello.into_stream(self.config.clone()).await.expect("a handshake");
        let chosen = text(stream.get_ref().1.alpn_protocol().unwrap_or_default());
        Offered { stream, offers, chosen }
    }
}

/// The head of a request or an answer.
async fn head(io: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(io.read_u8().await.expect("a head"));
    }
    String::from_utf8(heard).expect("text")
}

#[tokio::test]
async fn a_session_is_dialled_over_http_1_also_where_calls_are_offered_http_2() {
    let (provider, certificate) = Tls::start().await;
    let port = provider.listener.local_addr().expect("an address").port();
    let alpha = provider_of("OpenAI", "alpha", "models: [{ name: talker }]");
    let alpha = alpha.replace("'http://alpha.example/v1', allowInsecure: true", &format!("'https://localhost:{port}/v1'"));
    let network = Network::new(Trust::new(Some(certificate.as_bytes())).expect("trust"));
    let house = House::dialling(&[alpha, key("app", "")], |_| {}, Arc::new(Pipes::default()), Arc::new(network));
    // Before a session and after it, since both share what is trusted.
    for _ in 0..2 {
        let calling = house.call(Call::chat("app", "talker"));
        let Offered { stream, offers, chosen } = provider.next().await;
        assert_eq!((offers, chosen.as_str()), (vec!["h2".to_owned(), "http/1.1".to_owned()], "h2"));
        drop(stream);
        assert_eq!(calling.answer().await.status, 502);

        let mut client = house.line();
        let hand = format!(
            "GET /v1/realtime?model=talker HTTP/1.1\r\nhost: g\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nauthorization: Bearer {}\r\n\r\n",
            text_of("app")
        );
        client.write_all(hand.as_bytes()).await.expect("the gateway listens");
        let Offered { mut stream, offers, chosen } = provider.next().await;
        assert_eq!((offers, chosen.as_str()), (vec!["http/1.1".to_owned()], "http/1.1"));
        let asked = head(&mut stream).await;
        assert!(asked.starts_with("GET /v1/realtime?model=talker HTTP/1.1\r\n"), "{asked}");
        let said = asked.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).expect("a key");
        let accept = websocket_accept(said);
        let switching = format!("HTTP/1.1 101 Yes\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n");
        stream.write_all(switching.as_bytes()).await.expect("the gateway listens");
        stream.flush().await.expect("the gateway listens");
        let opened = head(&mut client).await;
        assert!(opened.starts_with("HTTP/1.1 101 "), "{opened}");
    }
}
