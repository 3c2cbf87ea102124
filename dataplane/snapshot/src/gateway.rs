//! What a gateway says of itself.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::GatewayId;

/// One data plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Which LLMGateway this is; a folder without one has `default/portolan`.
    pub id: GatewayId,
    /// Largest request body, in bytes.
    pub body_bytes_max: u64,
    /// Largest form with files in it, in bytes.
    #[serde(default = "usual_form", skip_serializing_if = "is_usual_form")]
    pub form_bytes_max: u64,
    /// Where tenants' providers may dial besides public addresses.
    pub egress: Egress,
    /// Which web origins may call; none by default.
    pub cors: Cors,
    /// How it leaves.
    pub drain: Drain,
}

impl Gateway {
    /// The largest form, where nobody says otherwise: 100 MiB.
    pub const FORM_BYTES_MAX: u64 = 100 << 20;
}

fn usual_form() -> u64 {
    Gateway::FORM_BYTES_MAX
}

fn is_usual_form(bytes: &u64) -> bool {
    *bytes == Gateway::FORM_BYTES_MAX
}

/// Addresses that are not public and yet may be dialled by providers of any namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Networks.
    pub allow: Vec<IpNet>,
}

/// Cross-origin rules. Empty: no CORS header is ever sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    /// Exact origins (`https://app.example.com`), or the single `*`.
    pub allow_origins: Vec<String>,
}

/// How long a stopping process goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Not ready, still accepting, answers carry `Connection: close`.
    pub delay_seconds: u32,
    /// Then calls in flight may last this long.
    pub timeout_seconds: u32,
}
