//! The engines that run in this process: the same steps, each in the form it takes fastest.

#[cfg(feature = "crates")]
pub mod cedar;
pub mod data;
pub mod ours;
#[cfg(feature = "crates")]
pub mod rego;
pub mod run;
#[cfg(feature = "crates")]
pub mod zen;

use crate::policy::Row;
use crate::world::{Step, World};

/// What an engine says when it cannot do its part; the comparison then stops.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// One that judges.
pub trait Engine {
    /// What the table calls it.
    fn name(&self) -> &'static str;

    /// Puts the inputs of these steps into the form it takes fastest. No time is taken of this.
    fn prepare(&mut self, world: &World, steps: &[Step]) -> Result<(), Fault>;

    /// Judges one prepared step: a rank for each party.
    fn judge(&mut self, step: usize, ranks: &mut Vec<u8>) -> Result<(), Fault>;
}

/// The peers, each compiled for these rows.
#[cfg(feature = "crates")]
pub fn peers(rows: &[Row]) -> Result<Vec<Box<dyn Engine>>, Fault> {
    Ok(vec![
        Box::new(rego::Regorus::new(rows)?),
        Box::new(cedar::Cedar::new(rows)?),
        Box::new(zen::Zen::new(rows)?),
    ])
}

/// None: this was built without them.
#[cfg(not(feature = "crates"))]
pub fn peers(_: &[Row]) -> Result<Vec<Box<dyn Engine>>, Fault> {
    Ok(Vec::new())
}
