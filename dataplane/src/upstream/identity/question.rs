//! One question to a token server: a connection of its own, under the provider's egress rules, and a small answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use snapshot::{AuthStyle, Endpoint, FailureClass, Scheme, Site};

use super::super::connection::Connection;
use super::super::pieces::Pieces;
use super::{Asker, Unproven};
use crate::live::{LiveIdentity, Origin};

/// Larger answers are none of a token server.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) site: &'a Site,
    pub(super) method: Method,
    /// Behind the site's path, with its question mark.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl<'a> Question<'a> {
    /// A form that is posted.
    pub(super) fn form(site: &'a Site, fields: &[(&str, &str)]) -> Self {
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", providers::sigv4::encoded(value, b"")));
        let body = pairs.collect::<Vec<_>>().join("&").into();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        Self { site, method: Method::POST, query: String::new(), headers, body }
    }

    /// Something that is looked at.
    pub(super) fn look(site: &'a Site) -> Self {
        Self { site, method: Method::GET, query: String::new(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// The `host` header.
    pub(super) fn host(&self) -> String {
        let Site { scheme, host, port, .. } = self.site;
        let usual = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == usual { host } else { format!("{host}:{port}") }
    }

    fn request(self) -> Result<Request<Pieces>, http::Error> {
        let host = self.host();
        let path = format!("{}{}", self.site.path, self.query);
        let uri = match self.site.scheme {
            Scheme::Http => path.parse::<Uri>()?,
            Scheme::Https => Uri::builder().scheme("https").authority(host.as_str()).path_and_query(path).build()?,
        };
        let mut request = Request::builder().method(self.method).uri(uri).body(Pieces::new(&[self.body]))?;
        let headers = request.headers_mut();
        *headers = self.headers;
        headers.insert(HOST, HeaderValue::try_from(host)?);
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        Ok(request)
    }
}

impl Asker {
    /// The status and body of the answer.
    pub(super) async fn answer(&self, identity: &LiveIdentity, question: Question<'_>) -> Result<(u16, Bytes), Unproven> {
        let site = question.site;
        let failed = |class, what: String| Unproven::new(class, format!("`{}` {what}", site.host));
        let origin = Arc::new(origin(identity, site));
        let request = question.request().map_err(|error| failed(FailureClass::BadRequest, format!("cannot be asked: {error}")))?;
        let unreachable = |why: String| failed(FailureClass::ConnectError, format!("cannot be reached: {why}"));
        let dialled = self.dial.dial(&origin).await.map_err(|error| unreachable(error.to_string()))?;
        let mut connection = Connection::open(dialled).await.map_err(|error| unreachable(error.to_string()))?;
        let response = connection.send(request).await.map_err(|error| unreachable(error.into_error().to_string()))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let broken = |_| failed(FailureClass::InvalidResponse, "broke off, or says too much".to_owned());
        Ok((status, body.map_err(broken)?.to_bytes()))
    }
}

/// The class of an answer that is none; throttling has many names.
pub(super) fn class_of(status: u16, code: &str) -> FailureClass {
    let word = code.to_ascii_lowercase();
    if status == 429 || word.contains("throttl") || word.contains("slow_down") {
        FailureClass::RateLimited
    } else if status >= 500 || word == "idpcommunicationerror" || word == "temporarily_unavailable" {
        FailureClass::ServerError
    } else {
        FailureClass::AuthFailed
    }
}

/// Where a token server is: reached as the provider may be, and trusted as it is.
fn origin(identity: &LiveIdentity, site: &Site) -> Origin {
    let Endpoint { reach, extra_ca_pem, timeouts, .. } = &identity.endpoint;
    let endpoint = Endpoint {
        scheme: site.scheme,
        host: site.host.clone(),
        port: site.port,
        base_path: String::new(),
        auth: AuthStyle::None,
        reach: *reach,
        extra_ca_pem: extra_ca_pem.clone(),
        timeouts: *timeouts,
    };
    // No pool knows this connection, so its number says nothing.
    Origin { number: u32::MAX, endpoint, egress: identity.egress.clone() }
}
