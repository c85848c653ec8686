//! The scenarios as `scenarios.toml` tells them.

use serde::Deserialize;

/// What testers do, and what is done to them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// The stores that it is played on; none: all.
    #[serde(default)]
    stores: Vec<String>,
    /// The languages that can play it; none: all.
    #[serde(default)]
    languages: Vec<String>,
    /// `key=value` for each session, before what a step says.
    #[serde(default)]
    pub(crate) config: Vec<String>,
    steps: String,
}

#[derive(Deserialize)]
struct File {
    scenario: Vec<Scenario>,
}

impl Scenario {
    /// All of them, in their order.
    pub(crate) fn all() -> Vec<Self> {
        let file: File = toml::from_str(include_str!("scenarios.toml")).expect("scenarios.toml");
        file.scenario
    }

    pub(crate) fn is_for(&self, store: &str, language: &str) -> bool {
        let allows = |list: &[String], name: &str| list.is_empty() || list.iter().any(|one| one == name);
        allows(&self.stores, store) && allows(&self.languages, language)
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = &str> {
        self.steps.lines().map(str::trim).filter(|line| !line.is_empty())
    }
}
