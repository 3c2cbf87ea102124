//! What is said of objects that a provider keeps.

use super::quoted;
use crate::exchange::Unkept;

/// What the client reads, and the field at fault.
pub(super) fn words(unkept: Unkept) -> (String, Option<String>) {
    match unkept {
        Unkept::NoSeal => (
            "this gateway has no seal, without which it cannot tell whose an object at a provider is; tell those who run it: the operator \
             makes one, a gateway on its own has it in the file of --seal-file"
                .to_owned(),
            None,
        ),
        Unkept::NoSuchObject { field } => (
            format!(
                "`{field}` names nothing that is kept for the team of the API key; ids are those that this gateway gave, whole and \
                 unchanged, and an id of the provider's own is none of them"
            ),
            Some(field.to_owned()),
        ),
        Unkept::KeeperGone => (
            "the provider that keeps the object is gone, or the API key may not use it any more; ask those who run this gateway".to_owned(),
            None,
        ),
        Unkept::CredentialGone { provider } => (
            format!(
                "the object was made with a credential that provider `{provider}` has no more; where the new one is of the same account, \
                 a list has the object under a new id"
            ),
            None,
        ),
        Unkept::KeptElsewhere { field, keeper, led } => (
            format!(
                "`{field}` names what is kept at provider `{keeper}`, with a credential of its own, and this call leads to `{led}`; name a \
                 model of `{keeper}`, or send the content itself"
            ),
            Some(field.to_owned()),
        ),
        Unkept::TwoKeepers { field } => (
            format!(
                "what `{field}` names is kept at two providers, or with two credentials of one, and a call goes to one; send content itself"
            ),
            Some(field.to_owned()),
        ),
        Unkept::NoKeeper { surface, provider: Some(provider) } => {
            (format!("provider `{provider}` does not serve /v1{}", surface.path()), Some("x-portolan-provider".to_owned()))
        }
        Unkept::NoKeeper { surface, provider: None } => {
            (format!("no provider that the API key may use serves /v1{}", surface.path()), None)
        }
        Unkept::WhichProvider { candidates } => (
            format!("several providers could be meant: say which in a header `x-portolan-provider`, {}", quoted(&candidates, " or ")),
            Some("x-portolan-provider".to_owned()),
        ),
        Unkept::BadParameter { name, expected } => (format!("the parameter `{name}` {expected}"), Some(name)),
        Unkept::ListTooLong => (
            "among the first objects of the provider none is of the team of the API key, and no more are looked through; narrow the list \
             by `purpose`, or turn it by `order`"
                .to_owned(),
            None,
        ),
    }
}
