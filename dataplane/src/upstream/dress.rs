//! What a cloud wants otherwise than a surface says: the body of a request before it is sent, and of an answer before it is
//! read.

use bytes::Bytes;
use http::HeaderMap;
use providers::embeddings::{Embeddings, Family};
use providers::fault::Fault;
use providers::passage::{CannotSay, Passage};
use snapshot::{ProviderKind, Surface};

use super::Headers;

/// What is changed about one attempt; mostly nothing.
#[derive(Debug)]
pub(super) enum Dress {
    /// Nothing.
    None,
    /// The body of the request.
    Body(Bytes),
    /// Embeddings: the request's body, and the answer's.
    Embeddings(Embeddings),
}

impl Dress {
    /// Of a call to a model.
    ///
    /// # Errors
    /// The cloud has no word for what the call says.
    pub(super) fn of(kind: &ProviderKind, model: &str, passage: &Passage, client: &Headers) -> Result<Self, CannotSay> {
        let embeddings = |family| Embeddings::tell(family, passage.request(), model).map(Self::Embeddings);
        match (kind, passage.surface()) {
            (ProviderKind::VertexAi(_), Surface::Messages) => {
                let betas: Vec<&str> =
                    if matches!(passage, Passage::Same(_)) { client.texts("anthropic-beta").collect() } else { Vec::new() };
                let body = providers::vertex::messages_body(passage.request(), &betas);
                body.map(Self::Body).map_err(|_| CannotSay::Surface { surface: Surface::Messages })
            }
            (ProviderKind::VertexAi(_), Surface::Embeddings) => embeddings(Family::Vertex),
            (ProviderKind::Bedrock(_), Surface::Embeddings) => {
                embeddings(Family::of_bedrock(model).ok_or(CannotSay::Surface { surface: Surface::Embeddings })?)
            }
            _ => Ok(Self::None),
        }
    }

    /// Pieces to send.
    pub(super) fn body<'a>(&'a self, passage: &'a Passage) -> &'a [Bytes] {
        match self {
            Self::None => passage.request(),
            Self::Body(body) | Self::Embeddings(Embeddings { body, .. }) => std::slice::from_ref(body),
        }
    }

    /// A whole answer as the surface says it.
    ///
    /// # Errors
    /// It is no answer.
    pub(super) fn undress(&self, body: Bytes, headers: &HeaderMap) -> Result<Bytes, Fault> {
        match self {
            Self::None | Self::Body(_) => Ok(body),
            Self::Embeddings(embeddings) => {
                let counted = headers.get("x-amzn-bedrock-input-token-count").and_then(|value| value.to_str().ok()?.parse().ok());
                embeddings.answer(&body, counted)
            }
        }
    }
}
