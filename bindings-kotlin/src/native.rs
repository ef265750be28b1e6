//! The frequent calls of the JVM, by JNI: the static native methods of `Crossing.kt`. They only convert, and cost a tenth
//! of a call by UniFFI. `control.rs` has the rare calls.
//!
//! What panics here is caught. Like every failure it is answered as `false` or `null`, which Kotlin takes for a lost channel.
#![allow(non_snake_case, reason = "JNI finds a method's function by this name")]

use jni::errors::LogErrorAndDefault;
use jni::objects::{JByteArray, JClass};
use jni::sys::{jboolean, jlong};
use jni::{Env, EnvUnowned};

use crate::channel;

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

fn safely<'l, T: Default>(env: &mut EnvUnowned<'l>, work: impl FnOnce(&mut Env<'l>) -> jni::errors::Result<T>) -> T {
    env.with_env(work).resolve::<LogErrorAndDefault>()
}
