//! A part of a report: what was found out, or why nothing was asked. "Nothing was found" is said of the first alone.

use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Part<T> {
    Asked(Vec<T>),
    NotAsked {
        /// Why, in words.
        not_asked: String,
    },
}

impl<T> Part<T> {
    pub fn not_asked(why: &str) -> Self {
        Self::NotAsked { not_asked: why.to_owned() }
    }

    /// What was found out, which is no "no" where it is empty: see `why_not`.
    pub fn found(&self) -> &[T] {
        match self {
            Self::Asked(found) => found,
            Self::NotAsked { .. } => &[],
        }
    }

    pub fn found_mut(&mut self) -> &mut [T] {
        match self {
            Self::Asked(found) => found,
            Self::NotAsked { .. } => &mut [],
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.found().iter()
    }

    pub fn why_not(&self) -> Option<&str> {
        match self {
            Self::Asked(_) => None,
            Self::NotAsked { not_asked } => Some(not_asked),
        }
    }
}
