//! All questions about what an identity holds, asked one by one.

use domain::evidence::asking::{Asker, Asking};
use domain::evidence::assume::Assuming;
use domain::evidence::could::Could;
use domain::evidence::part::Part;
use domain::identity::Read;

/// So many roles are asked about at one go.
const ROLES_AT_ONCE: usize = 50;

/// Whom roles trust.
pub(super) struct Trusts {
    /// By which ARN they name the identity: where a user is renamed, AWS renames it there.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_users_rename.html>
    pub(super) of: String,
    /// Every role of the account with its trust policy.
    pub(super) roles: Read<Vec<(String, String)>>,
}

/// The look-ups in CloudTrail go on meanwhile: there is one thread for both.
pub(super) async fn stepped(asking: &mut Asking<'_>) {
    while asking.step() {
        tokio::task::yield_now().await;
    }
}

pub(super) async fn answers(asker: &Asker<'_>, trusts: &Trusts) -> Could {
    let mut asking = asker.begin();
    stepped(&mut asking).await;
    let mut could = asking.end();
    roles(asker, trusts, &mut could).await;
    could
}

/// Which roles it may pass, and assume.
pub(super) async fn roles(asker: &Asker<'_>, trusts: &Trusts, could: &mut Could) {
    let own = trusts.of.as_str();
    let trusts = match &trusts.roles {
        Ok(it) => it,
        Err(error) => {
            let why = format!("whom roles trust ({})", error.why);
            could.roles = Part::not_asked(&format!("{why} could not be read"));
            could.unread.push(why);
            return;
        }
    };
    could.name_roles_to_pass(asker.holdings, trusts);
    let mut assuming = Assuming::new(asker.holdings, own);
    for (at, (role, trust)) in trusts.iter().enumerate().filter(|(_, (role, _))| role != own) {
        assuming.ask(role, trust);
        if at % ROLES_AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
    }
    could.add_roles(assuming.end());
}
