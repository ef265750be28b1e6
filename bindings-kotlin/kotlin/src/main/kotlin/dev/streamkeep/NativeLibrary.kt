package dev.streamkeep

import dev.streamkeep.internal.ffi.uniffiEnsureInitialized
import java.io.IOException
import java.nio.file.Files
import java.nio.file.LinkOption
import java.nio.file.Path
import kotlin.io.path.deleteIfExists
import kotlin.io.path.exists
import kotlin.io.path.isDirectory
import kotlin.io.path.isRegularFile
import kotlin.io.path.listDirectoryEntries
import kotlin.io.path.name

/**
 * Loads the native library, which is in the jar, from a file in the temporary folder.
 *
 * A process unpacks it once. Every further class loader gets a link to that file, because the JVM loads no file for two
 * class loaders, and because the system maps a file into memory once, however many links it has. JNI and JNA get the same
 * link, so that both see the same channels, and that a process has no second copy of SQLite, which would damage a file.
 */
internal object NativeLibrary {
    /** A folder for the unpacked library, instead of the temporary folder. */
    const val FOLDER = "streamkeep.tmpdir"

    /** A file with the library, instead of the one in the jar. */
    const val FILE = "streamkeep.library"

    /** Where JNA unpacks its own native library. */
    private const val JNA_FOLDER = "jna.tmpdir"

    /** Where the code that UniFFI generates finds the library. */
    private const val UNIFFI_FILE = "uniffi.component.streamkeep_kotlin.libraryOverride"

    private const val UNPACKED = "streamkeep.unpacked."
    private const val PREFIX = "streamkeep-"

    /** @throws ConfigException if there is no library for this platform, or if it cannot be unpacked or loaded */
    fun load() {
        val given = System.getProperty(FILE)
        if (given != null) {
            val hint = "set -D$FILE to a library of this platform, or do not set it"
            return synchronized(System.getProperties()) { loadFile(Path.of(given).toAbsolutePath(), folder(), hint) }
        }
        val name = resourceName()
        val hash = resource("$name.sha256") ?: throw ConfigException(
            "this jar has no native library for this platform ($name)",
            Circumstances(hint = "build one with bindings-kotlin/native.sh and set -D$FILE to its path"),
        )
        val folder = folder()
        // The properties are what all class loaders of a process share.
        synchronized(System.getProperties()) {
            val link = try {
                link(folder, name, UNPACKED + hash.decodeToString().trim())
            } catch (cause: IOException) {
                throw ConfigException("the native library cannot be unpacked to $folder: $cause", Circumstances(cause = cause, hint = "set -D$FOLDER to a folder that this process may write and execute files in"))
            }
            try {
                loadFile(link, folder, "$folder may be mounted noexec: set -D$FOLDER to a folder that this process may write and execute files in")
            } finally {
                link.deleteIfExists()
            }
        }
    }

    private fun folder() = Path.of(System.getProperty(FOLDER) ?: System.getProperty("java.io.tmpdir")).toAbsolutePath()

    @Suppress("UnsafeDynamicallyLoadedCode")
    private fun loadFile(file: Path, folder: Path, hint: String) {
        try {
            System.load(file.toString())
        } catch (cause: UnsatisfiedLinkError) {
            throw ConfigException("the native library cannot be loaded: ${cause.message}", Circumstances(cause = cause, hint = hint))
        }
        try {
            withProperties(UNIFFI_FILE to file.toString(), JNA_FOLDER to (System.getProperty(JNA_FOLDER) ?: folder.toString())) { Jna.load(::uniffiEnsureInitialized) }
        } catch (cause: LinkageError) {
            val jna = "set -D$FOLDER or -D$JNA_FOLDER to a folder that this process may write and execute files in"
            throw ConfigException("JNA cannot load the native library: $cause", Circumstances(cause = cause, hint = jna))
        }
    }

    private fun withProperties(vararg properties: Pair<String, String>, work: () -> Unit) {
        val before = properties.map { (name, value) -> name to System.setProperty(name, value) }
        try {
            work()
        } finally {
            for ((name, value) in before) if (value == null) System.clearProperty(name) else System.setProperty(name, value)
        }
    }

    /** A new link to the library that this process has unpacked. */
    private fun link(folder: Path, name: String, property: String): Path {
        val known = System.getProperty(property)?.let(Path::of)?.takeIf { it.exists() && it.parent.parent == folder.toAbsolutePath() }
        val unpacked = known ?: unpack(folder.toAbsolutePath(), name).also { System.setProperty(property, it.toString()) }
        val link = unpacked.resolveSibling("${java.util.UUID.randomUUID()}.${unpacked.fileName}")
        return try {
            Files.createLink(link, unpacked)
        } catch (_: UnsupportedOperationException) {
            Files.copy(unpacked, link)
        } catch (_: IOException) {
            Files.copy(unpacked, link)
        }
    }

    private fun unpack(folder: Path, name: String): Path {
        val library = name.substringAfterLast('/')
        removeLeftovers(folder, library)
        val own = Files.createTempDirectory(folder, "$PREFIX${ProcessHandle.current().pid()}-")
        own.toFile().deleteOnExit()
        val file = own.resolve(library)
        file.toFile().deleteOnExit()
        resourceStream(name).use { Files.copy(it ?: throw IOException("$name is missing in the jar"), file) }
        return file
    }

    /** Removes what processes that were killed have left. */
    private fun removeLeftovers(folder: Path, library: String) {
        val left = runCatching { folder.listDirectoryEntries("$PREFIX*-*") }.getOrDefault(emptyList())
        for (of in left) {
            val pid = of.fileName.toString().removePrefix(PREFIX).substringBefore('-').toLongOrNull() ?: continue
            if (ProcessHandle.of(pid).isEmpty) runCatching { removeLeftover(of, library) }
        }
    }

    /**
     * Removes a folder that has nothing but the library and links to it. Others may have given a folder such a name, and
     * in a temporary folder that all users share they may have put a symbolic link there.
     */
    private fun removeLeftover(folder: Path, library: String) {
        if (!folder.isDirectory(LinkOption.NOFOLLOW_LINKS)) return
        val files = folder.listDirectoryEntries()
        if (files.isEmpty() || !files.all { it.isRegularFile(LinkOption.NOFOLLOW_LINKS) && (it.name == library || it.name.endsWith(".$library")) }) return
        files.forEach(Files::delete)
        Files.delete(folder)
    }

    private fun resourceName(): String {
        val isMac = System.getProperty("os.name").startsWith("Mac")
        val machine = System.getProperty("os.arch").let { if (it == "amd64" || it == "x86_64") "x86-64" else it }
        return if (isMac) "darwin-$machine/libstreamkeep_kotlin.dylib" else "linux-$machine/libstreamkeep_kotlin.so"
    }

    private fun resourceStream(name: String) = NativeLibrary::class.java.getResourceAsStream("/$name")

    private fun resource(name: String): ByteArray? = resourceStream(name)?.use { it.readBytes() }
}
