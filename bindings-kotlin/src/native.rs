//! The functions that the JVM calls, by JNI: the static native methods of `Crossing.kt`. They only convert.
//!
//! What panics here is caught. Like every failure it is answered as 0 or `null`, which Kotlin takes for a lost channel.
#![allow(non_snake_case, reason = "JNI finds a method's function by this name")]

use jni::errors::LogErrorAndDefault;
use jni::objects::{JByteArray, JClass};
use jni::sys::{jboolean, jint, jlong};
use jni::{Env, EnvUnowned};

use crate::channel;

/// The version of this library in UTF-8. Kotlin refuses another version than its own.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_streamkeep_Crossing_version<'l>(
    mut env: EnvUnowned<'l>,
    _class: JClass<'l>,
) -> JByteArray<'l> {
    safely(&mut env, |env| env.byte_array_from_slice(env!("CARGO_PKG_VERSION").as_bytes()))
}

/// Begins a channel. Returns its number, or 0 if the threads of this library cannot be started.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_streamkeep_Crossing_begin<'l>(mut env: EnvUnowned<'l>, _class: JClass<'l>) -> jlong {
    safely(&mut env, |_| Ok(channel::begin().unwrap_or_default()))
}

/// Takes a frame of requests, and never waits. Returns whether the channel goes on.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_streamkeep_Crossing_submit<'l>(
    mut env: EnvUnowned<'l>,
    _class: JClass<'l>,
    number: jlong,
    frame: JByteArray<'l>,
) -> jboolean {
    safely(&mut env, |env| Ok(channel::submit(number, &env.convert_byte_array(&frame)?).is_some()))
}

/// Waits for answers, and returns those that are ready; `null` if the channel is over.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_streamkeep_Crossing_take<'l>(
    mut env: EnvUnowned<'l>,
    _class: JClass<'l>,
    number: jlong,
) -> JByteArray<'l> {
    safely(&mut env, |env| {
        channel::take(number).map_or_else(|| Ok(JByteArray::default()), |frame| env.byte_array_from_slice(&frame))
    })
}

/// Ends a channel, with its calls, stores and readers.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_streamkeep_Crossing_end<'l>(mut env: EnvUnowned<'l>, _class: JClass<'l>, number: jlong) {
    safely(&mut env, |_| {
        channel::end(number);
        Ok(())
    });
}

/// How many calls of a channel are running.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_streamkeep_Crossing_calls<'l>(
    mut env: EnvUnowned<'l>,
    _class: JClass<'l>,
    number: jlong,
) -> jint {
    safely(&mut env, |_| Ok(as_int(channel::counts(number).0)))
}

/// How many stores and readers a channel has.
#[unsafe(no_mangle)]
extern "system" fn Java_dev_streamkeep_Crossing_handles<'l>(
    mut env: EnvUnowned<'l>,
    _class: JClass<'l>,
    number: jlong,
) -> jint {
    safely(&mut env, |_| Ok(as_int(channel::counts(number).1)))
}

fn as_int(count: usize) -> jint {
    jint::try_from(count).unwrap_or(jint::MAX)
}

fn safely<'l, T: Default>(env: &mut EnvUnowned<'l>, work: impl FnOnce(&mut Env<'l>) -> jni::errors::Result<T>) -> T {
    env.with_env(work).resolve::<LogErrorAndDefault>()
}
