//! Unsuitable servers are refused at open, with a hint.

use libtest_mimic::{Failed, Trial};
use mongodb::bson::{Document, doc};
use streamkeep::{ErrorKind, EventStore, OpenOptions};
use streamkeep_tests::harness::Backend;
use streamkeep_tests::servers::MongoServer;

use super::super::cancel::in_time;
use super::super::ground::{Ground, case};
use super::super::proxy::Action;
use super::Proxied;

/// How to turn a standalone server into a replica set.
const REMEDY: [&str; 2] = ["--replSet", "rs.initiate()"];

pub fn trials() -> Vec<Trial> {
    vec![
        case("opening::a_standalone_server_is_refused_with_the_remedy", Backend::Mongodb, standalone),
        case("opening::a_server_too_old_is_refused", Backend::Mongodb, old),
        case("opening::an_in_memory_server_is_refused_unless_durability_is_relaxed", Backend::Mongodb, in_memory),
    ]
}

pub(super) async fn refused(what: &str, options: OpenOptions, words: &[&str]) -> Result<(), Failed> {
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

async fn standalone(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    proxied.proxy.script().always("hello", Action::edit(make_standalone));
    proxied.proxy.script().always("isMaster", Action::edit(make_standalone));
    refused("a server that says that it is standalone", proxied.options(), &REMEDY).await?;
    proxied.proxy.script().clear();
    opened(proxied.options()).await?;
    // The router of a sharded cluster is not a member of a replica set either.
    proxied.proxy.script().always(
        "hello",
        Action::edit(|hello| {
            make_standalone(hello);
            hello.insert("msg", "isdbgrid");
        }),
    );
    opened(proxied.options()).await?;
    let server =
        tokio::task::spawn_blocking(MongoServer::start_standalone).await?.map_err(|error| format!("{error:?}"))?;
    refused("a standalone server", OpenOptions::new(server.url()), &REMEDY).await
}

/// Removes what only the members of a replica set say.
fn make_standalone(hello: &mut Document) {
    for of_a_set in
        ["setName", "setVersion", "hosts", "primary", "me", "electionId", "lastWrite", "secondary", "topologyVersion"]
    {
        hello.remove(of_a_set);
    }
}

async fn old(ground: Ground) -> Result<(), Failed> {
    for (version, words) in [(8, "wire version 8"), (5, "wire version 5")] {
        let proxied = Proxied::new(&ground).await?;
        for command in ["hello", "isMaster"] {
            proxied
                .proxy
                .script()
                .always(command, Action::edit(move |hello| drop(hello.insert("maxWireVersion", version))));
        }
        refused(&format!("a server of wire version {version}"), proxied.options(), &[words]).await?;
    }
    Ok(())
}

async fn in_memory(ground: Ground) -> Result<(), Failed> {
    let proxied = Proxied::new(&ground).await?;
    proxied.proxy.script().always(
        "serverStatus",
        Action::edit(|status| drop(status.insert("storageEngine", doc! { "name": "ephemeral", "persistent": false }))),
    );
    refused("an in-memory server", proxied.options(), &["durability=relaxed"]).await?;
    opened(OpenOptions::new(format!("{}&durability=relaxed", proxied.url))).await?;
    // A server that does not permit the question is not refused for that.
    proxied.proxy.script().clear();
    proxied.proxy.script().always("serverStatus", Action::Answer(super::super::proxy::refusal(13, &[])));
    opened(proxied.options()).await
}
