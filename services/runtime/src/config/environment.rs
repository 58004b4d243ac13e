//! The environment behind a trait, so that a test passes a map.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::keys::{KEYS, OTHER_VARIABLES, PREFIX};

/// Where variables are read from.
pub trait Environment {
    /// The value of a variable, when it is set.
    fn get(&self, name: &str) -> Option<OsString>;
    /// The names of all variables that are set.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .collect()
    }
}

impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<OsString> {
        BTreeMap::get(self, name).map(OsString::from)
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// Variables with our prefix that mean nothing to us, for a warning. They are no error: Kubernetes sets
/// `CREDITGATE_PORT`, `CREDITGATE_SERVICE_HOST` and others in every pod beside a service named creditgate.
pub fn unknown_variables(environment: &dyn Environment) -> Vec<String> {
    let known = |name: &str| {
        KEYS.iter().any(|key| key.variable == name)
            || OTHER_VARIABLES.iter().any(|(other, _)| *other == name)
    };
    let mut names = environment.names();
    names.retain(|name| name.starts_with(PREFIX) && !known(name));
    names.sort();
    names
}
