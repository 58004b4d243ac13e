//! Identifiers and relations of subjects outside of entries: as messages, and back.

use creditgate_measures::entry::Related;
use creditgate_measures::event::Sensitive;
use creditgate_measures::identifier::{IdType, Identifier};
use creditgate_measures::vocabulary::Role;

use crate::encode::owned;
use crate::refused::Refused;
use crate::v1;

const NAME_CHARS_MAX: usize = 256;

/// The identifier as a message, in clear; an `ID15` as the `ID18` it became.
#[must_use]
pub fn alias_to_proto(identifier: &Identifier) -> v1::Alias {
    v1::Alias {
        id_type: identifier.id_type().code().to_owned(),
        id: identifier.reveal().to_owned(),
        issuer: owned(identifier.issuer()),
    }
}

/// The identifier that a message states. The reason it is not one never holds the value.
///
/// # Errors
/// When it is missing or not valid.
pub fn alias_from_proto(field: &str, alias: Option<&v1::Alias>) -> Result<Identifier, Refused> {
    let alias = alias
        .filter(|alias| !alias.id.trim().is_empty())
        .ok_or_else(|| Refused::one(field, "required: an identifier with its type"))?;
    let id_type = IdType::parse(&alias.id_type).ok_or_else(|| {
        let rule = "unknown type; known: USCC, ID18, ORG9, REG15, ID15, OTHER";
        Refused::one(format!("{field}.id_type"), rule)
    })?;
    let issuer = (!alias.issuer.is_empty()).then_some(alias.issuer.as_str());
    Identifier::parse(id_type, &alias.id, issuer).map_err(|why| {
        Refused::one(
            format!("{field}.id"),
            format!("not a valid {id_type}: {why}"),
        )
    })
}

/// The relation as a message, in clear.
#[must_use]
pub fn related_to_proto(related: &Related) -> v1::RelatedSubject {
    let alias = related.identifier.as_ref().map(alias_to_proto);
    let alias = alias.unwrap_or_default();
    v1::RelatedSubject {
        role: related.role.code().to_owned(),
        id_type: alias.id_type,
        id: alias.id,
        issuer: alias.issuer,
        name: owned(related.name.as_ref().map(Sensitive::reveal)),
    }
}

/// The relation that a message states.
///
/// # Errors
/// When a part of it is missing or not valid.
pub fn related_from_proto(
    field: &str,
    related: Option<&v1::RelatedSubject>,
) -> Result<Related, Refused> {
    let related = related.ok_or_else(|| Refused::one(field, "required"))?;
    let role = Role::parse(&related.role)
        .filter(|role| role.is_relation())
        .ok_or_else(|| {
            let known: Vec<_> = Role::ALL
                .iter()
                .filter(|role| role.is_relation())
                .map(|role| role.code())
                .collect();
            let rule = format!("expected a relation: {}", known.join(", "));
            Refused::one(format!("{field}.role"), rule)
        })?;
    let identifier = match related.id.is_empty() {
        true => None,
        false => Some(alias_from_proto(
            field,
            Some(&v1::Alias {
                id_type: related.id_type.clone(),
                id: related.id.clone(),
                issuer: related.issuer.clone(),
            }),
        )?),
    };
    if related.name.chars().count() > NAME_CHARS_MAX {
        let rule = format!("at most {NAME_CHARS_MAX} characters");
        return Err(Refused::one(format!("{field}.name"), rule));
    }
    let name = (!related.name.trim().is_empty()).then(|| Sensitive::new(related.name.as_str()));
    if identifier.is_none() && name.is_none() {
        return Err(Refused::one(field, "required: an identifier or a name"));
    }
    Ok(Related {
        role,
        identifier,
        name,
    })
}
