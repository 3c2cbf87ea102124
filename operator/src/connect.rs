//! The client of the API server.

use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::{Client, Config};
use tower::retry::RetryLayer;
use tower::{BoxError, ServiceBuilder};

/// How long to connect may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A connection that is silent for so long is asked whether anybody is there, again so often, at most so many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(10), Duration::from_secs(5), 3);
/// What an API server has no time for is asked again after pauses that grow from the first to the second, so many times. The
/// pauses that `kube` would make grow to minutes: a server that is well again would wait for us, and with it a revocation.
const AGAIN: (Duration, Duration, u32) = (Duration::from_millis(50), Duration::from_secs(1), 6);

/// A client that notices within half a minute that the machine at the other end is gone. The client that `kube` makes would
/// wait for the end of a watch, five minutes later: it leaves keepalive off.
///
/// # Errors
/// The configuration's certificates or credentials cannot be used.
pub fn client(config: Config) -> Result<Client, kube::Error> {
    // A proxy is reached in kube's own way.
    if config.proxy_url.is_some() {
        return Client::try_from(config);
    }
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_MAX));
    connector.set_keepalive(Some(KEEPALIVE.0));
    connector.set_keepalive_interval(Some(KEEPALIVE.1));
    connector.set_keepalive_retries(Some(KEEPALIVE.2));
    let tls = config.rustls_https_connector_with_connector(connector)?;
    let wire: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new()).build(tls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.default_retry.then(|| RetryLayer::new(patience())))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(wire);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

/// A pause that the server asks for is made all the same.
fn patience() -> RetryPolicy {
    RetryPolicy::new(AGAIN.0, AGAIN.1, AGAIN.2, true).unwrap_or_default()
}
