//! `docs/presets.md` says what the data of presets says. `UPDATE_GOLDEN=1` writes it anew.

#![expect(clippy::expect_used, reason = "helpers of tests panic as tests do")]

use std::fs;
use std::path::Path;

use catalog::presets::{self, KeyIn, Preset};
use snapshot::Quirk;

const HEAD: &str = "\
# Presets

Servers that speak OpenAI's API, each with a name. A provider names it and its key, and nothing else:

```yaml
apiVersion: portolan.dev/v1alpha1
kind: LLMProvider
metadata:
  name: groq
spec:
  type: OpenAICompatible
  preset: groq
  auth:
    secretRef: {name: groq, key: apiKey}
```

The preset fills base URL, header of the key, surfaces, [quirks](#quirks) and the prices of the catalog. What the object says
itself wins. Where a base URL has a name in braces, the address is your own: set `endpoint.url` to one of that shape.

This page is written by `crds/tests/papers.rs` from `crds/catalog/src/presets.tsv`.

";

fn row(preset: &Preset) -> String {
    let Preset { name, title, url, auth, services, quirks, catalog } = preset;
    let key = match auth {
        KeyIn::None => "none",
        KeyIn::Bearer => "Bearer",
        KeyIn::XApiKey => "XAPIKey",
        KeyIn::ApiKey => "APIKey",
        KeyIn::GoogApiKey => "GoogAPIKey",
    };
    let services: Vec<&str> = services.iter().map(|service| service.word()).collect();
    let quirks: Vec<&str> = quirks.iter().map(|quirk| quirk.word()).collect();
    let prices = if catalog.is_some() { "yes" } else { "" };
    format!("| `{name}` | {title} | `{url}` | {key} | {} | {} | {prices} |\n", services.join(", "), quirks.join(", "))
}

/// What the source says of each quirk, in one line.
fn quirks() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dataplane/snapshot/src/quirk.rs");
    let source = fs::read_to_string(path).expect("the list of quirks");
    let list = source.split_once("pub enum Quirk {").and_then(|(_, rest)| rest.split_once("\n}")).expect("an enum").0;
    let mut said = String::new();
    let mut rows = String::new();
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix("/// ") {
            Some(more) => said = if said.is_empty() { more.to_owned() } else { format!("{said} {more}") },
            None => {
                let quirk = Quirk::of(line.trim_end_matches(',')).expect("a quirk");
                let side = if quirk.is_of_requests() { "request" } else { "answer" };
                rows += &format!("| `{}` | {side} | {} |\n", quirk.word(), std::mem::take(&mut said));
            }
        }
    }
    rows
}

#[test]
fn the_page_of_presets_says_what_the_data_says() {
    let mut page = HEAD.to_owned();
    page += "| preset | server | base URL | key | services | quirks | priced |\n|---|---|---|---|---|---|---|\n";
    page += &presets::all().map(|preset| row(&preset)).collect::<String>();
    page += "\n## Quirks\n\nWhere a server differs from OpenAI, as named switches: of a preset, or of `quirks` in an LLMProvider. A field\n\
             that the server cannot be told is refused by name, or left out where `unsupportedFields` is Drop; the header\n\
             `x-portolan-dropped` of the answer then names it. Without quirks bytes pass as they are.\n\n";
    page += "| quirk | of | meaning |\n|---|---|---|\n";
    page += &quirks();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/presets.md");
    #[expect(clippy::disallowed_methods, reason = "a person asks for a new file this way")]
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        fs::write(&path, &page).expect("a file");
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == page, "docs/presets.md differs from the data; UPDATE_GOLDEN=1 writes it");
}
