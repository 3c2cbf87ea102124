//! LLMProvider: endpoint taken apart, models and prices read, credential found.

use std::collections::{BTreeMap, BTreeSet};

use catalog::presets::{self, KeyIn, Preset};
use snapshot::{
    AuthStyle, Azure, AzureApi, Endpoint, Model, ModelName, Provider, ProviderId, ProviderKind, Quirk, Reach, Scheme, Secret, Simulated,
    SimulatedFault, Surface, Timeouts, Visibility,
};

use super::identity::{Identified, bedrock_of, vertex_of};
use super::{Compiler, price, proxy, shown};
use crate::api::llm_provider::{self as api, AuthType, FaultType, Header, LLMProvider, LLMProviderSpec, ProviderType, SurfaceName, Vertex};
use crate::api::quirk::{QuirkName, UnsupportedFields};
use crate::api::shared::{From, Namespaces};
use crate::report::{Kind, Problem, Verdict};
use crate::schema::Complaint;
use crate::world::Name;

/// A provider that can be served.
#[derive(Debug, Clone)]
pub(super) struct Built {
    /// As the machine needs it; `Reach` depends on the gateway and is set there.
    pub(super) provider: Provider,
    pub(super) credential: Option<Secret<String>>,
    pub(super) shared_with: Namespaces,
    pub(super) kind: ProviderType,
    pub(super) generation: Option<i64>,
}

impl Compiler<'_> {
    pub(super) fn providers(&mut self) {
        let world = self.world;
        for (name, object) in &world.providers {
            let last = self.previous.and_then(|previous| previous.providers.get(name));
            // The schema's own rule of change, which an API server would have kept.
            let changed = last.filter(|last| last.kind != object.spec.kind).map(|_| {
                let message = "type cannot be changed; make another LLMProvider".to_owned();
                Problem::Invalid(vec![Complaint { path: "spec".to_owned(), message }])
            });
            let built = match changed {
                Some(problem) => Err(Verdict::Refused(problem)),
                None => self.build(name, object),
            };
            match built {
                Ok(built) => {
                    self.report(Kind::LLMProvider, name, object.metadata.generation, Verdict::Accepted);
                    if let Some(unpriced) = unpriced(&built.provider) {
                        self.warn(Kind::LLMProvider, name, unpriced);
                    }
                    self.now.providers.insert(name.clone(), built);
                }
                Err(verdict) => {
                    self.report(Kind::LLMProvider, name, object.metadata.generation, verdict);
                    self.refused.insert((Kind::LLMProvider, name.clone()));
                }
            }
        }
        let refused: Vec<_> = self.refused.iter().filter(|(kind, _)| *kind == Kind::LLMProvider).map(|(_, name)| name.clone()).collect();
        for name in refused {
            if let Some(last) = self.previous.and_then(|previous| previous.providers.get(&name)) {
                self.serves(Kind::LLMProvider, &name, last.generation);
                self.now.providers.insert(name, last.clone());
            }
        }
    }

    fn build(&self, name: &Name, object: &LLMProvider) -> Result<Built, Verdict> {
        let spec = &object.spec;
        let id = ProviderId::new(&name.0, &name.1)
            .map_err(|error| Verdict::Refused(Problem::Malformed { path: "metadata".to_owned(), why: error.to_string() }))?;
        // Mistral is the one server with a preset that has a type of its own.
        let named = if spec.kind == ProviderType::Mistral { Some("mistral") } else { spec.preset.as_deref() };
        let preset = named.map(|name| preset(name, spec)).transpose().map_err(Verdict::Refused)?;
        let (mut kind, surfaces) = self.kind(&name.0, spec, preset.as_ref())?;
        let auth = spec.auth.as_ref();
        let mut credential = match auth.and_then(|auth| auth.secret_ref.as_ref()) {
            Some(secret) => Some(self.secret(&name.0, &secret.name, &secret.key).map_err(Verdict::Pending)?),
            None => None,
        };
        if let Some((endpoint, identified)) = kind.endpoint_mut().zip(self.identified(&name.0, spec)?) {
            self.may_be_ambient(name, &identified.style)?;
            endpoint.auth = identified.style;
            credential = identified.credential;
        }
        let models = spec.models.iter().map(model).collect::<Result<_, _>>().map_err(Verdict::Refused)?;
        unique_names(&spec.models).map_err(Verdict::Refused)?;
        let visibility = match spec.allowed_namespaces.from {
            From::All => Visibility::All,
            From::Same => Visibility::Namespaces(BTreeSet::from([name.0.clone()])),
            From::Names => {
                Visibility::Namespaces(spec.allowed_namespaces.names.iter().flatten().cloned().chain([name.0.clone()]).collect())
            }
        };
        let quirks = match &spec.quirks {
            Some(quirks) => quirks.iter().map(quirk).collect(),
            None => preset.as_ref().map(|preset| preset.quirks.clone()).unwrap_or_default(),
        };
        let drops = spec.unsupported_fields == UnsupportedFields::Drop;
        let catalog = preset.filter(|_| spec.kind != ProviderType::Mistral).and_then(|preset| preset.catalog).map(str::to_owned);
        let proxy = spec.proxy.as_ref().map(proxy::lower).transpose().map_err(Verdict::Refused)?;
        let provider = Provider { id, kind, surfaces, models, visibility, quirks, drops, catalog, proxy };
        Ok(Built {
            provider,
            credential,
            shared_with: spec.allowed_namespaces.clone(),
            kind: spec.kind,
            generation: object.metadata.generation,
        })
    }

    /// Who the gateway is at a cloud, when that is how it shows itself.
    fn identified(&self, namespace: &str, spec: &LLMProviderSpec) -> Result<Option<Identified>, Verdict> {
        let Some(auth) = &spec.auth else { return Ok(None) };
        match (&auth.aws, &auth.google, &auth.entra) {
            (Some(aws), _, _) => self.aws(namespace, aws).map(Some),
            (None, Some(google), _) => self.google(namespace, google).map(Some),
            (None, None, Some(entra)) => self.entra(namespace, entra).map(Some),
            (None, None, None) => Ok(None),
        }
    }

    fn kind(&self, namespace: &str, spec: &LLMProviderSpec, preset: Option<&Preset>) -> Result<(ProviderKind, BTreeSet<Surface>), Verdict> {
        let openai = [Surface::ChatCompletions, Surface::Completions, Surface::Embeddings, Surface::Responses];
        Ok(match spec.kind {
            ProviderType::OpenAI => {
                (ProviderKind::OpenAi(self.endpoint(namespace, spec, "https://api.openai.com/v1", Header::Bearer)?), openai.into())
            }
            ProviderType::Anthropic => (
                ProviderKind::Anthropic(self.endpoint(namespace, spec, "https://api.anthropic.com/v1", Header::XAPIKey)?),
                [Surface::Messages].into(),
            ),
            ProviderType::Gemini => (
                ProviderKind::Gemini(self.endpoint(
                    namespace,
                    spec,
                    "https://generativelanguage.googleapis.com/v1beta",
                    Header::GoogAPIKey,
                )?),
                [Surface::GenerateContent, Surface::BatchEmbedContents].into(),
            ),
            ProviderType::Bedrock => {
                let aws = spec.auth.as_ref().and_then(|auth| auth.aws.as_ref());
                let usual = aws.map(|aws| bedrock_of(&aws.region)).unwrap_or_default();
                (ProviderKind::Bedrock(self.endpoint(namespace, spec, &usual, Header::Bearer)?), [Surface::Converse].into())
            }
            ProviderType::Cohere => (
                ProviderKind::Cohere(self.endpoint(namespace, spec, "https://api.cohere.com/v2", Header::Bearer)?),
                [Surface::CohereChat, Surface::CohereEmbed].into(),
            ),
            ProviderType::Mistral => {
                let (url, mut surfaces) = preset.map_or(("", BTreeSet::new()), |preset| (preset.url, preset.surfaces()));
                // Of a type of its own the machine knows these by itself, so that machines of before are not disturbed.
                surfaces.retain(|surface| !surface.is_of_the_later_doors());
                (ProviderKind::Mistral(self.endpoint(namespace, spec, url, Header::Bearer)?), surfaces)
            }
            ProviderType::Ollama => (
                ProviderKind::Ollama(self.endpoint(namespace, spec, "", Header::Bearer)?),
                [Surface::OllamaChat, Surface::OllamaEmbed].into(),
            ),
            ProviderType::VertexAI => {
                let usual = spec.vertex.as_ref().map(|vertex| vertex_of(&vertex.location)).unwrap_or_default();
                let mut endpoint = self.endpoint(namespace, spec, &usual, Header::Bearer)?;
                if let Some(Vertex { project, location }) = &spec.vertex {
                    endpoint.base_path.push_str(&format!("/projects/{project}/locations/{location}"));
                }
                (ProviderKind::VertexAi(endpoint), [Surface::GenerateContent, Surface::Messages].into())
            }
            ProviderType::AzureOpenAI => {
                let mut endpoint = self.endpoint(namespace, spec, "", Header::APIKey)?;
                // People copy the base URL of an SDK; the resource is what stands before.
                let base = endpoint.base_path.as_str();
                endpoint.base_path = base.strip_suffix("/openai/v1").or_else(|| base.strip_suffix("/openai")).unwrap_or(base).to_owned();
                let api = azure_api(&spec.azure.clone().unwrap_or_default());
                let surfaces = match &api {
                    AzureApi::V1 { .. } | AzureApi::Deployments { .. } => openai.into(),
                    AzureApi::Models { .. } => [Surface::ChatCompletions, Surface::Embeddings].into(),
                };
                (ProviderKind::AzureOpenAi(Azure { endpoint, api }), surfaces)
            }
            ProviderType::OpenAICompatible => {
                let surfaces = match (&spec.surfaces, preset) {
                    (Some(list), _) => list.iter().map(surface).collect(),
                    (None, Some(preset)) => preset.surfaces(),
                    (None, None) => openai[..3].iter().copied().collect(),
                };
                let (url, header) = preset.map_or(("", Header::Bearer), |preset| (preset.url, header(preset.auth)));
                (ProviderKind::OpenAiCompatible(self.endpoint(namespace, spec, url, header)?), surfaces)
            }
            ProviderType::Simulated => (
                ProviderKind::Simulated(simulated(&spec.simulated.clone().unwrap_or_default())),
                openai.into_iter().chain([Surface::Messages]).collect(),
            ),
        })
    }

    fn endpoint(&self, namespace: &str, spec: &LLMProviderSpec, usual: &str, header: Header) -> Result<Endpoint, Verdict> {
        let url = spec.endpoint.as_ref().map_or(usual, |endpoint| endpoint.url.as_str());
        let (scheme, host, port, base_path) = apart(url).ok_or_else(|| {
            Verdict::Refused(Problem::Malformed {
                path: "spec.endpoint.url".to_owned(),
                why: format!("{url} is no base URL; write it like https://llm.example.com/v1"),
            })
        })?;
        let auth = match &spec.auth {
            Some(auth) if auth.kind == AuthType::APIKey => match auth.header.unwrap_or(header) {
                Header::Bearer => AuthStyle::Bearer,
                Header::XAPIKey => AuthStyle::XApiKey,
                Header::APIKey => AuthStyle::ApiKey,
                Header::GoogAPIKey => AuthStyle::GoogApiKey,
            },
            _ => AuthStyle::None,
        };
        let ms = |number: i32| u32::try_from(number).unwrap_or(0);
        let times = &spec.timeouts;
        Ok(Endpoint {
            scheme,
            host,
            port,
            base_path,
            auth,
            reach: Reach::Public,
            extra_ca_pem: self.extra_ca(namespace, spec).map_err(Verdict::Pending)?,
            timeouts: Timeouts {
                connect_ms: ms(times.connect_milliseconds),
                first_byte_ms: ms(times.first_byte_milliseconds),
                idle_ms: ms(times.idle_milliseconds),
                total_ms: ms(times.total_milliseconds),
            },
        })
    }

    fn extra_ca(&self, namespace: &str, spec: &LLMProviderSpec) -> Result<Option<String>, Problem> {
        let Some(endpoint) = &spec.endpoint else { return Ok(None) };
        if let Some(wanted) = &endpoint.ca_config_map_ref {
            let entries = self.world.config_maps.get(&(namespace.to_owned(), wanted.name.clone()));
            let found = entries.and_then(|entries| entries.get(&wanted.key));
            return found
                .cloned()
                .map(Some)
                .ok_or_else(|| Problem::ConfigMapKeyMissing { config_map: wanted.name.clone(), key: wanted.key.clone() });
        }
        let Some(wanted) = &endpoint.ca_secret_ref else { return Ok(None) };
        let missing = Problem::SecretKeyMissing { secret: wanted.name.clone(), key: wanted.key.clone() };
        let entries =
            self.world.secrets.get(&(namespace.to_owned(), wanted.name.clone())).ok_or_else(|| self.no_secret(namespace, &wanted.name))?;
        let text = entries.values.get(&wanted.key).and_then(|value| String::from_utf8(value.expose().clone()).ok());
        text.map(Some).ok_or(missing)
    }

    /// Warns of names that two providers share, for each namespace that has keys here. What other tenants share counts only
    /// when neither the namespace nor a gateway's has the name, as in the machine.
    pub(super) fn warn_of_ambiguity(&mut self, namespaces: &BTreeSet<&str>) {
        let mut warnings = BTreeSet::new();
        let houses: BTreeSet<&str> = self.now.gateways.keys().map(|(namespace, _)| namespace.as_str()).collect();
        for namespace in namespaces {
            let mut having: BTreeMap<&ModelName, BTreeSet<&Name>> = BTreeMap::new();
            for (name, built) in self.now.providers.iter().filter(|(name, built)| built.shared_with.admit(&name.0, namespace)) {
                for model in built.provider.models.iter().flat_map(|model| std::iter::once(&model.name).chain(&model.aliases)) {
                    having.entry(model).or_default().insert(name);
                }
            }
            for (model, mut providers) in having {
                let house = |provider: &&Name| provider.0 == **namespace || houses.contains(provider.0.as_str());
                if providers.iter().any(house) {
                    providers.retain(house);
                }
                let after = providers.iter().zip(providers.iter().skip(1));
                warnings.extend(after.map(|(other, name)| ((*name).clone(), model.as_str().to_owned(), shown(other))));
            }
        }
        for (name, model, other) in warnings {
            self.warn(Kind::LLMProvider, &name, Problem::ModelAmbiguous { model, other });
        }
    }
}

fn azure_api(azure: &api::Azure) -> AzureApi {
    let version = azure.api_version.clone();
    match azure.api {
        api::AzureApi::V1 => AzureApi::V1 { version },
        // The schema refuses these without a version.
        api::AzureApi::Deployments => AzureApi::Deployments { version: version.unwrap_or_default() },
        api::AzureApi::Models => AzureApi::Models { version: version.unwrap_or_default() },
    }
}

/// The preset of that name, which the rest of the object must leave enough to do.
fn preset(name: &str, spec: &LLMProviderSpec) -> Result<Preset, Problem> {
    let Some(preset) = presets::of(name) else {
        return Err(Problem::PresetNotFound { preset: name.to_owned(), near: presets::near(name).join(", ") });
    };
    if preset.is_placed_by_its_user() && spec.endpoint.is_none() {
        let why = format!("preset {name} has an address of your own, of the shape {}; set it", preset.url);
        return Err(Problem::Malformed { path: "spec.endpoint".to_owned(), why });
    }
    if preset.auth != KeyIn::None && spec.auth.is_none() {
        let why = format!("preset {name} wants a key; name its Secret, or write `type: None`");
        return Err(Problem::Malformed { path: "spec.auth".to_owned(), why });
    }
    Ok(preset)
}

/// The header of a key, where the object does not name one.
fn header(style: KeyIn) -> Header {
    match style {
        KeyIn::None | KeyIn::Bearer => Header::Bearer,
        KeyIn::XApiKey => Header::XAPIKey,
        KeyIn::ApiKey => Header::APIKey,
        KeyIn::GoogApiKey => Header::GoogAPIKey,
    }
}

fn surface(name: &SurfaceName) -> Surface {
    match name {
        SurfaceName::ChatCompletions => Surface::ChatCompletions,
        SurfaceName::Completions => Surface::Completions,
        SurfaceName::Embeddings => Surface::Embeddings,
        SurfaceName::Responses => Surface::Responses,
        SurfaceName::Messages => Surface::Messages,
        SurfaceName::Images => Surface::Images,
        SurfaceName::ImageEdits => Surface::ImageEdits,
        SurfaceName::ImageVariations => Surface::ImageVariations,
        SurfaceName::Speech => Surface::Speech,
        SurfaceName::Transcriptions => Surface::Transcriptions,
        SurfaceName::Translations => Surface::Translations,
        SurfaceName::Moderations => Surface::Moderations,
        SurfaceName::Rerank => Surface::Rerank,
        SurfaceName::Realtime => Surface::Realtime,
        SurfaceName::Files => Surface::Files,
    }
}

fn quirk(name: &QuirkName) -> Quirk {
    match name {
        QuirkName::MaxTokens => Quirk::MaxTokens,
        QuirkName::NoStreamOptions => Quirk::NoStreamOptions,
        QuirkName::SystemRole => Quirk::SystemRole,
        QuirkName::AnyToolChoice => Quirk::AnyToolChoice,
        QuirkName::NoRequiredToolChoice => Quirk::NoRequiredToolChoice,
        QuirkName::NoNamedToolChoice => Quirk::NoNamedToolChoice,
        QuirkName::NoTools => Quirk::NoTools,
        QuirkName::NoParallelToolCalls => Quirk::NoParallelToolCalls,
        QuirkName::RandomSeed => Quirk::RandomSeed,
        QuirkName::NoSeed => Quirk::NoSeed,
        QuirkName::NoPenalties => Quirk::NoPenalties,
        QuirkName::NoLogprobs => Quirk::NoLogprobs,
        QuirkName::NoLogitBias => Quirk::NoLogitBias,
        QuirkName::OneChoice => Quirk::OneChoice,
        QuirkName::NoJsonSchema => Quirk::NoJsonSchema,
        QuirkName::NoServiceTier => Quirk::NoServiceTier,
        QuirkName::NoLabels => Quirk::NoLabels,
        QuirkName::ShortCallIds => Quirk::ShortCallIds,
        QuirkName::ContentParts => Quirk::ContentParts,
        QuirkName::Reasoning => Quirk::Reasoning,
        QuirkName::FinishReasons => Quirk::FinishReasons,
        QuirkName::CallIds => Quirk::CallIds,
        QuirkName::ReasoningApart => Quirk::ReasoningApart,
        QuirkName::UsageInXGroq => Quirk::UsageInXGroq,
        QuirkName::ErrorsInAnswers => Quirk::ErrorsInAnswers,
        QuirkName::CachedApart => Quirk::CachedApart,
        QuirkName::LooseChunks => Quirk::LooseChunks,
    }
}

fn model(model: &api::Model) -> Result<Model, Problem> {
    let name =
        |text: &str| ModelName::new(text).map_err(|error| Problem::Malformed { path: "spec.models".to_owned(), why: error.to_string() });
    let (price, more_prices) = price::lower(model.price.as_ref())?;
    Ok(Model {
        name: name(&model.name)?,
        aliases: model.aliases.iter().map(|alias| name(alias)).collect::<Result<_, _>>()?,
        upstream_name: name(model.upstream_name.as_ref().unwrap_or(&model.name))?,
        price,
        more_prices,
    })
}

/// What no price is known of: their calls cost nothing in the books, so that somebody must be told.
fn unpriced(provider: &Provider) -> Option<Problem> {
    if matches!(provider.kind, ProviderKind::Simulated(_)) {
        return None;
    }
    let word = catalog::word(provider);
    let by_unit = |model: &snapshot::Model| word.is_some_and(|word| catalog::units::knows(word, model.upstream_name.as_str()));
    let unknown = |model: &&snapshot::Model| {
        model.price.is_none() && model.more_prices.is_none() && catalog::of_declared(provider, model).is_none() && !by_unit(model)
    };
    let models = provider.models.iter().filter(unknown);
    let models: Vec<String> = models.map(|model| model.upstream_name.as_str().to_owned()).collect();
    (!models.is_empty()).then(|| Problem::ModelsUnpriced { catalog: word.map(str::to_owned), models })
}

/// Within one provider each name and alias means one model.
fn unique_names(models: &[api::Model]) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for (place, model) in models.iter().enumerate() {
        for name in std::iter::once(&model.name).chain(&model.aliases) {
            if !seen.insert(name) {
                return Err(Problem::Malformed {
                    path: format!("spec.models[{place}]"),
                    why: format!("the name {name} stands twice among names and aliases"),
                });
            }
        }
    }
    Ok(())
}

fn simulated(spec: &api::Simulated) -> Simulated {
    let unsigned = |number: i32| u32::try_from(number).unwrap_or(0);
    let percent = |fault: &api::Fault| u8::try_from(fault.percent).unwrap_or(100);
    let faults = spec.faults.iter().map(|fault| match fault.kind {
        FaultType::Status => SimulatedFault::Status {
            status: fault.status.and_then(|status| u16::try_from(status).ok()).unwrap_or(500),
            percent: percent(fault),
            retry_after_seconds: fault.retry_after_seconds.map(unsigned),
        },
        FaultType::Drop => SimulatedFault::Drop { percent: percent(fault), after_tokens: fault.after_tokens.map_or(0, unsigned) },
        FaultType::Hang => SimulatedFault::Hang { percent: percent(fault) },
    });
    Simulated {
        seed: u64::try_from(spec.seed).unwrap_or(0),
        latency_ms: unsigned(spec.latency_milliseconds),
        token_interval_ms: unsigned(spec.token_interval_milliseconds),
        answer_tokens: unsigned(spec.answer_tokens),
        faults: faults.collect(),
    }
}

/// Scheme, host, port and base path of a base URL.
pub(super) fn apart(url: &str) -> Option<(Scheme, String, u16, String)> {
    let (scheme, rest, usual) = match url.split_once("://")? {
        ("https", rest) => (Scheme::Https, rest, 443),
        ("http", rest) => (Scheme::Http, rest, 80),
        _ => return None,
    };
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, after.strip_prefix(':'))
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let named = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte));
    let path = path.trim_end_matches('/');
    let clean = path.bytes().all(|byte| byte.is_ascii_graphic()) && !path.split('/').any(|part| part == "..");
    let port = port.map_or(Some(usual), |port| port.parse().ok().filter(|port| *port > 0))?;
    let base_path = if path.is_empty() { String::new() } else { format!("/{path}") };
    (named && clean).then(|| (scheme, host.to_owned(), port, base_path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_taken_apart() {
        let path = |text: &str| text.to_owned();
        assert_eq!(apart("https://api.openai.com/v1"), Some((Scheme::Https, path("api.openai.com"), 443, path("/v1"))));
        assert_eq!(apart("http://[::1]:8000"), Some((Scheme::Http, path("::1"), 8000, path(""))));
        assert_eq!(apart("http://h:8000/a/b/"), Some((Scheme::Http, path("h"), 8000, path("/a/b"))));
        for bad in ["ftp://h", "https://", "https://h:0/", "https://h:x", "https://a b/", "https://[zz]/", "https://h/../x", "h"] {
            assert_eq!(apart(bad), None, "{bad}");
        }
    }
}
