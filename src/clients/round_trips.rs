//! Counts AWS calls and, from when each began and ended, how many had to wait for another: the
//! dependent round trips, which decide how fast an attacker is stopped.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Layer, Storable, StoreReplace};
use domain::change::Change;
use domain::round_trips::RoundTrips;

#[derive(Debug, Clone)]
struct Call {
    operation: String,
    began: Instant,
    ended: Option<Instant>,
}

/// Every attempt of every call of one response.
#[derive(Debug, Clone, Default)]
pub struct CallLog(Arc<Mutex<Vec<Call>>>);

/// Which entry of the log an attempt is, carried from its beginning to its end.
#[derive(Debug)]
struct Entry(usize);

impl Storable for Entry {
    type Storer = StoreReplace<Self>;
}

impl CallLog {
    pub fn round_trips(&self) -> RoundTrips {
        let Ok(calls) = self.0.lock() else {
            return RoundTrips { first_barrier: None, total: 0, calls: 0 };
        };
        let depths = depths(&calls);
        let is_barrier = |call: &Call| Change::BARRIERS.contains(&call.operation.as_str());
        let barriers = calls.iter().zip(&depths).filter(|(call, _)| is_barrier(call)).map(|(_, depth)| *depth);
        RoundTrips {
            first_barrier: barriers.min(),
            total: depths.iter().copied().max().unwrap_or(0),
            calls: calls.len(),
        }
    }

    /// When the first barrier's call ended.
    pub fn first_barrier_at(&self) -> Option<Instant> {
        let calls = self.0.lock().ok()?;
        calls.iter().filter(|it| Change::BARRIERS.contains(&it.operation.as_str())).filter_map(|it| it.ended).min()
    }
}

/// One more than the deepest call that had ended before this one began.
fn depths(calls: &[Call]) -> Vec<usize> {
    let mut depths: Vec<usize> = Vec::with_capacity(calls.len());
    for call in calls {
        let earlier = calls.iter().zip(&depths);
        let waited_for = earlier.filter(|(it, _)| it.ended.is_some_and(|ended| ended <= call.began));
        depths.push(1 + waited_for.map(|(_, depth)| *depth).max().unwrap_or(0));
    }
    depths
}

#[dyn_dispatch_hint]
impl Intercept for CallLog {
    fn name(&self) -> &'static str {
        "CallLog"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = cfg.load::<Metadata>().map(|it| it.name().to_owned()).unwrap_or_default();
        if let Ok(mut calls) = self.0.lock() {
            let mut layer = Layer::new("CallLog");
            layer.store_put(Entry(calls.len()));
            cfg.push_layer(layer);
            calls.push(Call { operation, began: Instant::now(), ended: None });
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Ok(mut calls), Some(Entry(n))) = (self.0.lock(), cfg.load::<Entry>())
            && let Some(call) = calls.get_mut(*n)
        {
            call.ended = Some(Instant::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn depth_counts_what_had_to_be_waited_for() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let call = |operation: &str, began, ended| Call {
            operation: operation.to_owned(),
            began: at(began),
            ended: Some(at(ended)),
        };
        let calls = vec![
            call("AssumeRole", 0, 10),
            call("GetUser", 11, 20),
            call("ListAccessKeys", 11, 25),
            call("AttachUserPolicy", 26, 40),
            call("ListGroupsForUser", 26, 30),
            call("Publish", 41, 50),
        ];
        let log = CallLog(Arc::new(Mutex::new(calls)));
        assert_eq!(log.round_trips(), RoundTrips { first_barrier: Some(3), total: 4, calls: 6 });
    }
}
