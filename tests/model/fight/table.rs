//! Many runs of one setting, on as many threads as there are, as a row of the table.

use super::world::{Ending, Fight, Run};
use super::{Guardrail, Help, Setting};

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Result {
    pub(crate) contained: usize,
    /// Of the verdicts, how many said `Contained`, how many `SuspectsOpen`.
    pub(crate) said: usize,
    suspects_open: usize,
    pub(crate) is_false: usize,
    /// It said `SuspectsOpen`, and what was wanted did not hold.
    pub(crate) is_untrue: usize,
    /// Of the accomplice, contained as a child.
    pub(crate) is_child_false: usize,
    attacker_writes: usize,
    pub(crate) writes: usize,
    calls: usize,
    pub(crate) throttled: usize,
    /// Writes that another ID got, which nobody was told of.
    pub(crate) silent: usize,
    pub(crate) latest_stray: f64,
    pub(crate) seconds: f64,
    /// When the victim's keys were let through last, on the average and in the worst run.
    used_at: f64,
    used_latest: f64,
    /// How often the guardrail came to bind and when, and so with the child.
    bound: (usize, f64),
    children: (usize, f64),
}

impl Result {
    fn add(&mut self, it: &Run) {
        self.contained += usize::from(it.is_contained);
        self.said += usize::from(it.ending == Ending::Contained);
        self.suspects_open += usize::from(it.ending == Ending::SuspectsOpen);
        self.is_false += usize::from(it.is_false);
        self.is_untrue += usize::from(it.ending == Ending::SuspectsOpen && !it.is_contained);
        self.is_child_false += usize::from(it.is_child_false);
        self.attacker_writes += it.attacker_writes;
        self.writes += it.writes;
        self.calls += it.calls;
        self.throttled += it.throttled;
        self.silent += it.silent;
        self.latest_stray = self.latest_stray.max(it.latest_stray);
        self.seconds += it.seconds;
        self.used_at += it.used_at;
        self.used_latest = self.used_latest.max(it.used_at);
        for (sum, at) in [(&mut self.bound, it.bound_at), (&mut self.children, it.child_at)] {
            sum.0 += usize::from(at.is_some());
            sum.1 += at.unwrap_or_default();
        }
    }
}

pub(crate) fn play(setting: Setting, runs: usize) -> Result {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut parts: Vec<(usize, Run)> = std::thread::scope(|scope| {
        let share = |n: usize| (n..runs).step_by(threads);
        let one = move |seed: usize| (seed, Fight::new(setting, seed as u64).run());
        let all: Vec<_> = (0..threads).map(|n| scope.spawn(move || share(n).map(one).collect::<Vec<_>>())).collect();
        all.into_iter().flat_map(|it| it.join().unwrap()).collect()
    });
    // Sums of fractions depend on their order.
    parts.sort_by_key(|it| it.0);
    let mut sum = Result::default();
    parts.iter().for_each(|(_, it)| sum.add(it));
    sum
}

pub(crate) fn runs(otherwise: usize) -> usize {
    std::env::var("FIGHTS").map_or(otherwise, |it| it.parse().unwrap())
}

pub(crate) fn row(setting: Setting, runs: usize) -> Result {
    let it = play(setting, runs);
    let mean = |count: usize| count as f64 / runs as f64;
    let (low, high) = setting.lag;
    let lag = if low == high { format!("{low} s") } else { format!("{low}-{high} s") };
    let when = |(count, sum): (usize, f64)| match count {
        0 => "-".to_owned(),
        _ => format!("{:.0} s ({:.0} %)", sum / count as f64, 100.0 * mean(count)),
    };
    println!(
        "| {} | {} | {} | {} s | {} s | {lag} | {} | {:.2} % | {:.2} % | {:.2} % | {} | {} | {} | {:.1} s ({:.0}) | {} | {} | {:.1} | {:.1} s | {:.0} ({:.1}) | {:.0} |",
        setting.tactic.words(),
        match setting.help {
            Help::None => "-",
            Help::AtLarge => "at large",
            Help::ChildrenContained => "contained as a child",
        },
        match setting.guardrail {
            Guardrail::None => "-",
            Guardrail::Before => "beforehand",
            Guardrail::OnDemand => "on demand",
        },
        setting.settle,
        setting.poll,
        setting.bucket.map_or_else(|| "none".to_owned(), |it| format!("{it}/s")),
        100.0 * mean(it.contained),
        100.0 * mean(it.said),
        100.0 * mean(it.suspects_open),
        it.is_false,
        it.is_untrue,
        it.is_child_false,
        it.used_at / runs as f64,
        it.used_latest,
        when(it.bound),
        when(it.children),
        mean(it.attacker_writes),
        it.seconds / runs as f64,
        mean(it.writes),
        mean(it.throttled),
        mean(it.calls),
    );
    it
}

/// Each setting with what came of it, or with `ROW` that one alone.
pub(crate) fn rows(all: Vec<Setting>, runs: usize) -> impl Iterator<Item = (Setting, Result)> {
    let only: Option<usize> = std::env::var("ROW").ok().map(|it| it.parse().unwrap());
    header();
    let meant = all.into_iter().enumerate().filter(move |(n, _)| only.is_none_or(|it| it == *n));
    meant.map(move |(_, setting)| (setting, row(setting, runs)))
}

pub(crate) fn header() {
    println!(
        "| attacker | accomplice | guardrail | settle time | polls every | lag | IAM answers | contained | `Contained` | `SuspectsOpen` | false | untrue | false of the child | keys let through last (latest) | guardrail binds | child struck | attacker's writes | verdict after | rewrites (throttled) | responder's calls |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
}
