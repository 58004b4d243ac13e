//! cedar-policy: a `permit` for each row, asked entry by entry in the policy set of its stage and list.
//!
//! Cedar answers whether something is permitted and by which policies; the strongest of those is the outcome. Which
//! set to ask is chosen here, as Cedar itself would look at every policy it has.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Entities, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression,
};

use super::{Engine, Fault};
use crate::policy::{LISTS, PLACES, PROVINCES, ROLES, Row, SEVERITIES, slice};
use crate::world::{Listing, Step, World};

/// A question about one entry, and the set to ask.
struct Asked {
    set: usize,
    request: Request,
}

/// See the module.
pub struct Cedar {
    authorizer: Authorizer,
    entities: Entities,
    /// By stage, then list.
    sets: Vec<PolicySet>,
    ranks: HashMap<PolicyId, u8>,
    /// The parties of each step, with their entries.
    steps: Vec<Vec<Vec<Asked>>>,
    who: [EntityUid; 3],
}

impl Cedar {
    /// Parses the policies.
    pub fn new(rows: &[Row]) -> Result<Self, Fault> {
        let mut sets = Vec::new();
        let mut ranks = HashMap::new();
        for place in 0..PLACES.len() {
            for list in 0..LISTS.len() {
                let mut set = PolicySet::new();
                for row in slice(rows, place, list) {
                    let id = PolicyId::new(&row.id);
                    set.add(Policy::parse(Some(id.clone()), policy(row))?)?;
                    ranks.insert(id, row.rank());
                }
                sets.push(set);
            }
        }
        Ok(Self {
            authorizer: Authorizer::new(),
            entities: Entities::empty(),
            sets,
            ranks,
            steps: Vec::new(),
            who: [
                EntityUid::from_str("Party::\"party\"")?,
                EntityUid::from_str("Action::\"take_part\"")?,
                EntityUid::from_str("Procedure::\"procedure\"")?,
            ],
        })
    }

    fn asked(&self, world: &World, step: &Step, listing: &Listing) -> Result<Asked, Fault> {
        let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
        let context = Context::from_pairs([
            ("severity".to_owned(), text(SEVERITIES[listing.severity])),
            ("role".to_owned(), text(ROLES[step.role])),
            ("province".to_owned(), text(PROVINCES[step.province])),
            (
                "day".to_owned(),
                RestrictedExpression::new_long(world.today.days().into()),
            ),
            (
                "amount".to_owned(),
                RestrictedExpression::new_long(step.amount_fen),
            ),
        ])?;
        let [principal, action, resource] = self.who.clone();
        Ok(Asked {
            set: step.place * LISTS.len() + listing.list,
            request: Request::new(principal, action, resource, context, None)?,
        })
    }
}

/// The row as a policy; what it does not ask for is not in it.
fn policy(row: &Row) -> String {
    let mut when = format!("context.day >= {}", row.from.days());
    if row.to.is_some() {
        let _ = write!(when, " && context.day <= {}", row.last_day());
    }
    if let Some(severity) = row.severity {
        let _ = write!(when, " && context.severity == \"{}\"", SEVERITIES[severity]);
    }
    if let Some(role) = row.role {
        let _ = write!(when, " && context.role == \"{}\"", ROLES[role]);
    }
    if let Some(province) = row.province {
        let _ = write!(when, " && context.province == \"{}\"", PROVINCES[province]);
    }
    if let Some(least) = row.min_amount_fen {
        let _ = write!(when, " && context.amount >= {least}");
    }
    format!("permit(principal, action, resource) when {{ {when} }};")
}

impl Engine for Cedar {
    fn name(&self) -> &'static str {
        "cedar-policy 4.14.1"
    }

    fn prepare(&mut self, world: &World, steps: &[Step]) -> Result<(), Fault> {
        let mut prepared = Vec::with_capacity(steps.len());
        for step in steps {
            let mut parties = Vec::with_capacity(step.parties.len());
            for party in &step.parties {
                let entries = world.in_force(*party);
                let asked: Result<Vec<_>, _> = entries
                    .iter()
                    .map(|listing| self.asked(world, step, listing))
                    .collect();
                parties.push(asked?);
            }
            prepared.push(parties);
        }
        self.steps = prepared;
        Ok(())
    }

    fn judge(&mut self, step: usize, ranks: &mut Vec<u8>) -> Result<(), Fault> {
        for party in &self.steps[step] {
            let mut strongest = 0;
            for Asked { set, request } in party {
                let response =
                    self.authorizer
                        .is_authorized(request, &self.sets[*set], &self.entities);
                if let Some(error) = response.diagnostics().errors().next() {
                    return Err(error.to_string().into());
                }
                for id in response.diagnostics().reason() {
                    strongest = strongest.max(self.ranks.get(id).copied().unwrap_or_default());
                }
            }
            ranks.push(strongest);
        }
        Ok(())
    }
}
