//! Keeps a report in the bucket, if there is one.

use clients::accounts::Home;
use domain::evidence::report::Evidence;
use domain::ids::Partition;
use domain::outcome::Failure;
use domain::settings::Investigator;

/// All three forms, or none is linked. The link to the HTML.
pub(super) async fn store(home: &Home, settings: &Investigator, report: &Evidence) -> Result<Option<String>, Failure> {
    let Some(name) = &settings.bucket else { return Ok(None) };
    let bucket = home.bucket(name);
    let objects = report.objects();
    let created = futures_util::future::join_all(objects.iter().map(|it| bucket.create(it))).await;
    created.into_iter().collect::<Result<Vec<_>, _>>()?;
    let region = &settings.common.region;
    Ok(Some(report.link(&Partition::of_region(region), region.as_str(), name)))
}
