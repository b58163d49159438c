//! The names under which something is told, and what is said of others.

use std::borrow::Cow;

use contract::Fault;

use super::{PREFIX, Place, shown};
use crate::metadata::{Field, TEXT_BYTES_MAX, VERSIONS, Version};

/// Headers of ours that steer a call without being metadata.
const CONTROLS: [&str; 2] = ["tollgate-annotate", "tollgate-approval"];
/// Most changed characters of a near match.
const NEAR_MAX: usize = 2;
/// Longest name for which a near match is looked for, bytes.
const NAME_BYTES_NEAR: usize = 64;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Metadata.
    Field(Field),
    /// Identity, which only trusted callers may tell.
    Asserted(Asserted),
}

/// Identity that comes from the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asserted {
    Tenant,
    App,
}

impl Asserted {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::App => "app",
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name {
            "tenant" | "tenant_id" => Some(Self::Tenant),
            "app" | "app_id" => Some(Self::App),
            _ => None,
        }
    }
}

/// The name of a header of ours, as in the body object; `None` if it is no
/// metadata. `rest` is what follows `tollgate`.
///
/// # Errors
/// A name with `_`: another reader of the same request may take it for the
/// one with `-`.
pub(super) fn of_header<'a>(name: &'a str, rest: &'a str) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(rest) = rest.strip_prefix(['-', '_']) else {
        return Ok(None);
    };
    if name.contains('_') {
        return Err(Fault::bad_request(format!(
            "The header `{}` is written with `_` and could be mistaken for `{}`. Write the name \
             with `-`.",
            shown(name),
            shown(&name.replace('_', "-"))
        ))
        .at(shown(name)));
    }
    if CONTROLS.contains(&name) {
        return Ok(None);
    }
    Ok(Some(match rest.contains('-') {
        true => Cow::Owned(rest.replace('-', "_")),
        false => Cow::Borrowed(rest),
    }))
}

/// What a name stands for.
///
/// # Errors
/// `BadRequest` that names the nearest one.
pub(super) fn slot(place: Place<'_>, name: &str, version: &Version) -> Result<Slot, Fault> {
    if let Some(asserted) = Asserted::named(name) {
        return Ok(Slot::Asserted(asserted));
    }
    let field = version.field(name);
    // Headers and baggage have one name for a field; the others are the
    // body's.
    let alias = |field: &Field| field.alias() == Some(name);
    let in_body = matches!(place, Place::Body(_));
    match field.filter(|field| in_body || !alias(field)) {
        Some(field) => Ok(Slot::Field(field)),
        None => Err(unknown(place, name, version)),
    }
}

/// The name of a tenant or an app that is told.
pub(super) fn identity(text: &str) -> Result<String, String> {
    crate::metadata::plain(text, TEXT_BYTES_MAX).map(str::to_owned)
}

fn unknown(place: Place<'_>, name: &str, version: &Version) -> Fault {
    let in_body = matches!(place, Place::Body(_));
    let written = |name: &str| match place {
        Place::Header(_) => format!("`{PREFIX}-{}`", name.replace('_', "-")),
        Place::Body(_) => format!("`{name}`"),
        Place::Baggage(_) => format!("`{PREFIX}.{name}`"),
    };
    let elsewhere = VERSIONS.into_iter().find_map(|other| {
        let field = other
            .field(name)
            .filter(|field| other.name(*field) == name)?;
        Some((other, field))
    });
    let advice = match (elsewhere, near(name, in_body, version)) {
        (Some((other, field)), _) => format!(
            "That is its name in version {} of the contract; in {}, which this call speaks, it is \
             {}.",
            other.date,
            version.date,
            written(version.name(field))
        ),
        (None, Some(near)) => format!("Write {}.", written(near)),
        (None, None) => {
            let all: Vec<String> = Field::ALL
                .into_iter()
                .map(|field| written(version.name(field)))
                .collect();
            format!("There are {}.", all.join(", "))
        }
    };
    place.fault(&format!("is not known. {advice}"))
}

/// The name nearest to one that is not known, if one is near. The other names
/// of a field count, but only a body has them.
fn near(name: &str, in_body: bool, version: &Version) -> Option<&'static str> {
    let names = Field::ALL.into_iter().flat_map(|field| {
        let own = version.name(field);
        let alias = field.alias();
        let alias = alias.map(|alias| (alias, if in_body { alias } else { own }));
        [Some((own, own)), alias].into_iter().flatten()
    });
    if name.len() > NAME_BYTES_NEAR {
        return None;
    }
    names
        .map(|(known, advised)| (strsim::levenshtein(name, known), advised))
        .filter(|(distance, _)| *distance <= NEAR_MAX)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, advised)| advised)
}
