//! A batch is approved where it can be read.

use crate::looks::{filled, lively};

#[tokio::test]
async fn a_lead_reads_a_change_set_approves_it_and_undoes_it() {
    let (place, names) = lively().await;
    let mia = place.browser_of("mia").await;
    mia.go(&filled("/batches/BATCH", &names)).await;
    mia.says("Nothing of it is on a ticket yet.").await;
    mia.says("Approve: change").await;
    mia.click("form[action$='/apply'] button").await;
    mia.says("The change-set is being applied.").await;
    let batch = filled("/batches/BATCH", &names);
    crate::wire::until("applied", async || (place.desk.get(&batch).await["state"] == "applied").then_some(())).await;
    mia.go(&batch).await;
    mia.click("form[action$='/undo'] button").await;
    crate::wire::until("undone", async || (place.desk.get(&batch).await["state"] == "undone").then_some(())).await;
    let lena = place.browser_of("lena").await;
    lena.go(&batch).await;
    lena.says("A lead decides about batches.").await;
}
