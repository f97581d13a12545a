//! AWS's own answers about what an identity could do, beside those that are read from its policies.

use std::time::Duration;

use clients::iam::IamRead;
use clients::iam::simulate::simulate;
use domain::evidence::answer::Holdings;
use domain::evidence::before::Before;
use domain::evidence::simulating::Plan;
use domain::evidence::simulation::{Asked, NotSimulated, Replies, Simulation};
use domain::evidence::was::Was;
use domain::identity::Observed;
use tokio::time::Instant;

use super::whom::Whom;

/// A few calls of less than a second each; with many that it does not know, a few dozen.
const SIMULATING: Duration = Duration::from_secs(25);

pub(super) struct Simulator<'a> {
    iam: &'a IamRead,
    /// Or why nothing can be asked.
    plan: Result<Plan, String>,
    replies: Replies,
    until: Instant,
}

impl<'a> Simulator<'a> {
    pub(super) fn new(
        iam: &'a IamRead,
        (whom, was): (&Whom, &Was),
        before: &Before,
        now: &Observed,
        holdings: &Holdings,
        until: Instant,
    ) -> Self {
        let plan = if whom.is_gone {
            Err("it is not there any more".to_owned())
        } else {
            Plan::of(&whom.identity, was.facts(), before, now, holdings)
        };
        Self { iam, plan, replies: Replies::default(), until: until.min(Instant::now() + SIMULATING) }
    }

    /// Once AWS has refused, or time ran out, nothing more is asked.
    pub(super) async fn ask(&mut self, asked: &[Asked]) {
        let Ok(plan) = &self.plan else { return };
        let more = match &self.replies.stopped {
            None => simulate(self.iam, plan, asked, self.until).await,
            Some(_) if asked.is_empty() => Replies::default(),
            Some(why) => {
                let actions = asked.iter().map(|it| it.action.to_owned()).collect();
                let why = format!("on a resource of their own: {why}");
                Replies { not_simulated: vec![NotSimulated { actions, why }], ..Replies::default() }
            }
        };
        self.replies.add(more);
    }

    pub(super) fn end(self, asked: Vec<Asked>) -> Simulation {
        match self.plan {
            Ok(plan) => Simulation::of(&asked, self.replies, plan.without),
            Err(why) => Simulation::not_asked(&why),
        }
    }
}
