//! Unsuitable servers are refused at open, with a hint.

use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Document, doc};
use streamkeep::{ErrorKind, EventStore, OpenOptions};
use streamkeep_tests::harness::Backend;
use streamkeep_tests::servers::MongoServer;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::super::proxy::Deed;
use super::Stage;

/// What makes a replica set of a server that stands alone.
const REMEDY: [&str; 2] = ["--replSet", "rs.initiate()"];

pub fn trials() -> Vec<Trial> {
    vec![
        case("opening::a_server_that_stands_alone_is_refused_with_the_remedy", Backend::Mongodb, alone),
        case("opening::a_server_too_old_is_refused", Backend::Mongodb, old),
        case(
            "opening::a_server_that_keeps_nothing_is_refused_unless_durability_is_relaxed",
            Backend::Mongodb,
            forgetful,
        ),
    ]
}

async fn refused(what: &str, options: OpenOptions, words: &[&str]) -> Result<(), Failed> {
    match in_time("opening", options.open()).await? {
        Err(error)
            if matches!(error.kind(), ErrorKind::Config)
                && words.iter().all(|words| error.to_string().contains(words)) =>
        {
            Ok(())
        }
        Err(error) => Err(format!("{what} was refused with {error:?}").into()),
        Ok(_) => Err(format!("{what} was opened").into()),
    }
}

async fn opened(options: OpenOptions) -> Result<(), Failed> {
    let store: EventStore = in_time("opening", options.open()).await??;
    Ok(store.close().await?)
}

async fn alone(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    stage.proxy.script().always("hello", Deed::edit(stand_alone));
    stage.proxy.script().always("isMaster", Deed::edit(stand_alone));
    refused("a server that says that it stands alone", stage.options(), &REMEDY).await?;
    stage.proxy.script().clear();
    opened(stage.options()).await?;
    // The gate of a sharded cluster is in no set either.
    stage.proxy.script().always(
        "hello",
        Deed::edit(|hello| {
            stand_alone(hello);
            hello.insert("msg", "isdbgrid");
        }),
    );
    opened(stage.options()).await?;
    let server =
        tokio::task::spawn_blocking(MongoServer::start_standalone).await?.map_err(|error| format!("{error:?}"))?;
    refused("a server that stands alone", OpenOptions::new(server.url()), &REMEDY).await
}

/// What a replica set's member says beside what a server alone does.
fn stand_alone(hello: &mut Document) {
    for of_a_set in
        ["setName", "setVersion", "hosts", "primary", "me", "electionId", "lastWrite", "secondary", "topologyVersion"]
    {
        hello.remove(of_a_set);
    }
}

async fn old(ground: Ground) -> Result<(), Failed> {
    for (version, words) in [(8, "wire version 8"), (5, "wire version 5")] {
        let stage = Stage::set(&ground).await?;
        for command in ["hello", "isMaster"] {
            stage
                .proxy
                .script()
                .always(command, Deed::edit(move |hello| drop(hello.insert("maxWireVersion", version))));
        }
        refused(&format!("a server of wire version {version}"), stage.options(), &[words]).await?;
    }
    Ok(())
}

async fn forgetful(ground: Ground) -> Result<(), Failed> {
    let stage = Stage::set(&ground).await?;
    stage.proxy.script().always(
        "serverStatus",
        Deed::edit(|status| drop(status.insert("storageEngine", doc! { "name": "ephemeral", "persistent": false }))),
    );
    refused("a server that keeps nothing", stage.options(), &["durability=relaxed"]).await?;
    opened(OpenOptions::new(format!("{}&durability=relaxed", stage.url))).await?;
    // Whoever may not ask is not refused for that.
    stage.proxy.script().clear();
    stage.proxy.script().always("serverStatus", Deed::Answer(super::super::proxy::refusal(13, &[])));
    opened(stage.options()).await
}
