//! LLMGateway: which there are, and what each says of itself.

use ipnet::IpNet;
use kube::ResourceExt;
use snapshot::{Cors, Drain, Egress, Gateway, GatewayId};

use super::Compiler;
use crate::api::llm_gateway::{LLMGateway, LLMGatewaySpec};
use crate::api::shared::{From, Namespaces};
use crate::report::{Kind, Problem, Verdict};

impl Compiler<'_> {
    /// Takes the gateways in; a folder without any has one that admits every namespace, `default/portolan`.
    pub(super) fn gateways(&mut self) {
        let world = self.world;
        for (name, gateway) in &world.gateways {
            match networks(gateway) {
                Ok(_) => {
                    self.report(Kind::LLMGateway, name, gateway.metadata.generation, Verdict::Accepted);
                    self.now.gateways.insert(name.clone(), gateway.clone());
                }
                Err(problem) => {
                    self.report(Kind::LLMGateway, name, gateway.metadata.generation, Verdict::Refused(problem));
                    self.refused.insert((Kind::LLMGateway, name.clone()));
                }
            }
        }
        let refused: Vec<_> = self.refused.iter().filter(|(kind, _)| *kind == Kind::LLMGateway).map(|(_, name)| name.clone()).collect();
        for name in &refused {
            if let Some(last) = self.previous.and_then(|previous| previous.gateways.get(name)) {
                self.serves(Kind::LLMGateway, name, last.metadata.generation);
                self.now.gateways.insert(name.clone(), last.clone());
            }
        }
        // A refused gateway must not be replaced by one that admits everybody.
        if !world.cluster && world.gateways.is_empty() && refused.is_empty() {
            let spec = LLMGatewaySpec::admitting(Namespaces { from: From::All, names: None });
            let mut implied = LLMGateway::new("portolan", spec);
            implied.metadata.namespace = Some("default".to_owned());
            self.now.gateways.insert(("default".to_owned(), "portolan".to_owned()), implied);
        }
    }
}

/// The gateway as the machine needs it.
pub(super) fn lower(gateway: &LLMGateway) -> Option<Gateway> {
    let spec = &gateway.spec;
    let unsigned = |number: i32| u32::try_from(number).unwrap_or(0);
    Some(Gateway {
        id: GatewayId::new(gateway.namespace().as_deref().unwrap_or("default"), &gateway.name_any()).ok()?,
        body_bytes_max: u64::try_from(spec.limits.max_body_bytes).unwrap_or(0),
        form_bytes_max: u64::try_from(spec.limits.max_form_bytes).unwrap_or(0),
        egress: Egress { allow: networks(gateway).ok()? },
        cors: Cors { allow_origins: spec.cors.allow_origins.clone() },
        drain: Drain { delay_seconds: unsigned(spec.drain.delay_seconds), timeout_seconds: unsigned(spec.drain.timeout_seconds) },
    })
}

fn networks(gateway: &LLMGateway) -> Result<Vec<IpNet>, Problem> {
    let mut networks = Vec::new();
    for (place, text) in gateway.spec.egress.allow_cidrs.iter().enumerate() {
        let network = text.parse().map_err(|_| Problem::Malformed {
            path: format!("spec.egress.allowCIDRs[{place}]"),
            why: format!("{text} is no network; write it like 10.20.0.0/16"),
        })?;
        networks.push(network);
    }
    networks.sort();
    networks.dedup();
    Ok(networks)
}
