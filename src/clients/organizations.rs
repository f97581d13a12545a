//! AWS Organizations: which accounts there are. Only the management account and delegated administrators may ask.

use aws_sdk_organizations::Client;
use domain::hygiene::accounts::Listed;
use domain::outcome::Failure;

use crate::errors::failure;

/// The only action here.
pub const PERMISSION: &str = "organizations:ListAccounts";

/// Every account. A page may be empty and not the last.
/// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccounts.html>
pub async fn accounts(organizations: &Client) -> Result<Vec<Listed>, Failure> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = organizations.list_accounts().set_next_token(token).send().await.map_err(|it| failure(&it))?;
        found.extend(page.accounts().iter().map(|it| Listed {
            id: it.id().unwrap_or_default().to_owned(),
            name: it.name().unwrap_or_default().to_owned(),
            state: state(it),
            paths: it.paths().to_vec(),
        }));
        token = page.next_token.filter(|it| !it.is_empty());
        if token.is_none() {
            return Ok(found);
        }
    }
}

/// `Status` was to be retired in September 2026: `State` says more, where it is there.
fn state(account: &aws_sdk_organizations::types::Account) -> String {
    let state = account.state().map(|it| it.as_str().to_owned());
    state.or_else(|| account.status().map(|it| it.as_str().to_owned())).unwrap_or_default()
}
