//! Breaks the seals of what a call names, so that rooms see ids of the provider's own and where it keeps what they name.

use std::sync::Arc;

use providers::head::Reference;
use providers::stored::Named;
use snapshot::Surface;

use crate::exchange::{Body, Bound, Call, Deed, Grant, Refusal, Stored, Unkept, Wanted};
use crate::live::Live;
use crate::seal::{Kind, SealHandle, Seals, Tenant};

/// The field of an id in a path.
const ID: &str = "id";

/// The field of a list that begins behind an object.
const AFTER: &str = "after";

fn seals(seal: &Arc<SealHandle>, live: &Live, grant: &Grant) -> Result<Seals, Refusal> {
    let keys = seal.current().ok_or(Unkept::NoSeal)?;
    let tenant = Tenant { gateway: live.gateway.id.as_str(), team: grant.key.key.owner.team.as_str() };
    Ok(Seals::new(keys, tenant))
}

/// A call of a model: most name nothing.
pub(super) fn call(seal: &Arc<SealHandle>, live: &Live, grant: &Grant, call: Call) -> Result<Call, Refusal> {
    let Body::Here(body) = &call.body else { return Ok(call) };
    if call.head.references.is_empty() {
        // What answers by this door is kept, unless the gateway has no seal: then nobody can name it again.
        let seals = if call.surface == Surface::Responses { seals(seal, live, grant).ok() } else { None };
        return Ok(Call { seals, ..call });
    }
    let seals = seals(seal, live, grant)?;
    let mut bound: Option<Bound> = None;
    let mut ids = Vec::with_capacity(call.head.references.len());
    for Reference { named, field, id, .. } in &call.head.references {
        let kind = match named {
            Named::File => Kind::File,
            Named::Response => Kind::Response,
        };
        let (place, id) = seals.open(kind, id).ok_or(Unkept::NoSuchObject { field })?;
        let first = bound.get_or_insert(Bound { place, field });
        if first.place != place {
            return Err(Unkept::TwoKeepers { field }.into());
        }
        ids.push(id);
    }
    let Some(bound) = bound else { return Ok(call) };
    let body = body.clone();
    let call = call.opened(&body, &ids, bound).map_err(Refusal::BadBody)?;
    let seals = Some(seals).filter(|_| call.surface == Surface::Responses);
    Ok(Call { seals, ..call })
}

/// What is asked of an object itself.
pub(super) fn stored(seal: &Arc<SealHandle>, live: &Live, grant: &Grant, wanted: Wanted, body: Body) -> Result<Call, Refusal> {
    let seals = seals(seal, live, grant)?;
    let named = match &wanted.deed {
        Deed::List(listing) => listing.after.as_deref().map(|id| (AFTER, id)),
        Deed::Send | Deed::Look | Deed::Read | Deed::Delete | Deed::Items | Deed::Cancel => wanted.id.as_deref().map(|id| (ID, id)),
    };
    let (mut id, mut bound) = (None, None);
    if let Some((field, sealed)) = named {
        let (place, opened) = seals.open(wanted.kind(), sealed).ok_or(Unkept::NoSuchObject { field })?;
        (id, bound) = (Some(opened.into_boxed_str()), Some(Bound { place, field }));
    }
    let call = Call::of_path(wanted.surface, body, None, Some(Box::new(Stored { wanted, id, seals })));
    Ok(Call { bound, ..call })
}
