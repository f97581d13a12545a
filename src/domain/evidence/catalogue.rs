//! The ways that a report asks about: to more rights, to secrets and data, and to nobody seeing it.
//!
//! `catalogue.txt` is the list, and says from whom it is derived.

use std::sync::LazyLock;

const TABLE: &str = include_str!("catalogue.txt");

/// What a way leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rights,
    Secrets,
    Data,
    Logging,
}

/// A way to get something, by several actions together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub kind: Kind,
    /// Empty where nobody has given it one.
    pub id: &'static str,
    pub name: &'static str,
    /// The service that a role is passed to, by `iam:PassRole`.
    pub passes_to: Option<&'static str>,
    /// What it takes, `iam:PassRole` apart: of each one of these actions.
    pub needs: Vec<Vec<&'static str>>,
    /// What must stand there besides.
    pub also: &'static str,
}

pub(super) const PASS: &str = "iam:PassRole";

static PATHS: LazyLock<Vec<Path>> = LazyLock::new(|| lines().filter_map(Path::parse).collect());

pub fn paths() -> &'static [Path] {
    &PATHS
}

#[cfg(test)]
pub(super) fn of(kind: Kind) -> impl Iterator<Item = &'static Path> {
    paths().iter().filter(move |it| it.kind == kind)
}

fn lines() -> impl Iterator<Item = &'static str> {
    TABLE.lines().filter(|it| !it.is_empty() && !it.starts_with('#'))
}

impl Path {
    /// INVARIANT: every line of the table is a path. Held by `tests::every_line_is_a_path`.
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split('|').map(str::trim);
        let kind = match fields.next()? {
            "rights" => Kind::Rights,
            "secrets" => Kind::Secrets,
            "data" => Kind::Data,
            "logging" => Kind::Logging,
            _ => return None,
        };
        let [id, name, service, needs, also] =
            [fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?];
        let given = |field: &'static str| Some(field).filter(|it| *it != "-");
        Some(Self {
            kind,
            id: given(id).unwrap_or_default(),
            name,
            passes_to: given(service),
            needs: needs.split_whitespace().map(|it| it.split(',').collect()).collect(),
            also,
        })
    }

    /// Every action that is asked about.
    pub fn actions(&self) -> impl Iterator<Item = &'static str> {
        self.passes_to.map(|_| PASS).into_iter().chain(self.needs.iter().flatten().copied())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_line_is_a_path() {
        assert_eq!(paths().len(), lines().count());
        assert!(lines().all(|it| it.matches('|').count() == 5));
        assert!(paths().iter().all(|it| !it.name.is_empty() && !it.needs.is_empty()));
        assert!(paths().iter().all(|it| it.needs.iter().flatten().all(|it| it.contains(':') && *it != PASS)));
        let ids: BTreeSet<_> = of(Kind::Rights).map(|it| it.id).collect();
        assert_eq!((ids.len(), ids.contains("")), (of(Kind::Rights).count(), false));
    }
}
