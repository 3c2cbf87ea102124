//! The gateway as a laptop runs it: a real process on a folder of manifests, real sockets on both sides.
#![expect(clippy::expect_used, clippy::disallowed_methods, reason = "helpers of tests: what fails here fails the test")]

mod bounds;
mod bytes;
mod errors;
mod folders;
mod leaving;
mod mounted;
mod providers;
mod quickstart;
mod relay;
mod revisions;
mod secrecy;
mod tls;

use e2e::folder::{self, Folder};
use e2e::gateway::Gateway;
use e2e::upstream::{Asked, Step, Upstream};

/// A gateway in front of one OpenAI-compatible provider `up` with the model `m` that does as the script says, and a key.
struct Front {
    gateway: Gateway,
    upstream: Upstream,
    key: String,
    _folder: Folder,
}

impl Front {
    async fn start(script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::start_with("", &[], script).await
    }

    /// The same with more lines in the provider's spec and more flags.
    async fn start_with(more: &str, flags: &[&str], script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let upstream = Upstream::start(script).await;
        let key = folder::key_text(1);
        let manifests = folder::provider("up", "OpenAICompatible", upstream.address, &["m"], more) + &folder::key("k", &key, "");
        let folder = Folder::with(&manifests);
        let gateway = Gateway::start(folder.path(), flags).await;
        Self { gateway, upstream, key, _folder: folder }
    }

    async fn chat(&self, stream: bool) -> e2e::client::Answer {
        self.post(&e2e::client::chat("m", stream)).await
    }

    async fn post(&self, body: &str) -> e2e::client::Answer {
        e2e::client::post(self.gateway.listen, "/v1/chat/completions", &self.key, body).await
    }
}
