"""Debian's packages of programs, libraries and headers, for hints.

Debian calls most development packages after the library; these are the others that builds of Python packages ask for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Packages of the index that bring a program: riscv64 programs of Debian's run slowly under QEMU.
FROM_INDEX = {"cmake": "cmake", "ninja": "ninja", "meson": "meson", "cython": "cython", "pybind11-config": "pybind11"}
RUST = ("cargo", "rustc", "maturin")


def _inverted(packages: Mapping[str, str]) -> Mapping[str, str]:
    return {name: package for package, names in packages.items() for name in names.split()}


PROGRAMS = _inverted({
    "git": "git", "pkgconf": "pkg-config pkgconf", "libtool-bin": "libtool", "libtool": "libtoolize glibtoolize",
    "automake": "automake aclocal", "autoconf": "autoconf autoreconf autoheader", "gettext": "msgfmt xgettext",
    "nodejs": "node nodejs", "npm": "npm npx", "golang-go": "go", "default-jdk-headless": "java javac jar",
    "protobuf-compiler": "protoc", "thrift-compiler": "thrift", "capnproto": "capnp", "texinfo": "makeinfo",
    "mercurial": "hg", "subversion": "svn", "libpq-dev": "pg_config", "default-libmysqlclient-dev":
    "mysql_config mariadb_config", "llvm-dev": "llvm-config", "libxml2-dev": "xml2-config", "libxslt1-dev":
    "xslt-config", "libgdal-dev": "gdal-config", "libgeos-dev": "geos-config", "libnetcdf-dev": "nc-config",
    "libhdf5-dev": "h5cc", "libcurl4-openssl-dev": "curl-config", "libkrb5-dev": "krb5-config", "libsdl2-dev":
    "sdl2-config", "libopenmpi-dev": "mpicc mpicxx mpif90", "unixodbc-dev": "odbc_config", "libcups2-dev":
    "cups-config", "libgpgme-dev": "gpgme-config", "bsdextrautils": "hexdump", "proj-bin": "proj",
    "binutils": "ar ld nm objcopy",
})  # fmt: skip
# Programs whose package has their name.
SAME_NAME = _inverted({
    "": "swig flex bison nasm yasm gfortran m4 perl ruby unzip zip xxd bc gperf ragel re2c help2man doxygen patchelf "
    "rsync file ccache scons tcl ninja-build graphviz pandoc gawk sqlite3 xsltproc asciidoc",
})  # fmt: skip
LIBRARIES = _inverted({
    "zlib1g-dev": "z zlib", "libssl-dev": "ssl crypto openssl libssl libcrypto", "libjpeg-dev": "jpeg turbojpeg",
    "libpng-dev": "png png16 libpng16", "libcurl4-openssl-dev": "curl libcurl", "libxslt1-dev": "xslt exslt libexslt",
    "libffi-dev": "ffi libffi", "default-libmysqlclient-dev": "mysqlclient mariadb", "libncurses-dev":
    "ncurses ncursesw tinfo curses panel form menu", "libzmq3-dev": "zmq libzmq", "libuv1-dev": "uv libuv",
    "libbrotli-dev": "brotlienc brotlidec brotlicommon libbrotlienc libbrotlidec", "libglib2.0-dev":
    "glib-2.0 gobject-2.0 gio-2.0 gthread-2.0", "libx11-dev": "X11 x11", "libgl-dev": "GL gl opengl",
    "libasound2-dev": "asound alsa", "libusb-1.0-0-dev": "usb-1.0 libusb-1.0", "libkrb5-dev":
    "gssapi_krb5 krb5 krb5-gssapi gssapi", "libldap-dev": "ldap lber ldap_r", "unixodbc-dev": "odbc", "portaudio19-dev":
    "portaudio portaudio-2.0", "libsndfile1-dev": "sndfile", "libgeos-dev": "geos geos_c", "libcairo2-dev": "cairo",
    "libpango1.0-dev": "pango pangocairo pango-1.0", "uuid-dev": "uuid", "libpcre2-dev": "pcre2-8 libpcre2-8",
    "libleptonica-dev": "lept leptonica", "libgmp-dev": "gmp gmpxx", "libfftw3-dev": "fftw3 fftw3f fftw3l fftw",
    "libyaml-dev": "yaml yaml-0.1", "libfreetype-dev": "freetype freetype2", "libsdl2-dev": "SDL2 sdl2",
    "liblapack-dev": "lapack", "libblas-dev": "blas", "libboost-all-dev": "boost", "libgsl-dev": "gsl gslcblas",
    "libprotobuf-dev": "protobuf", "libeigen3-dev": "eigen3 eigen", "libsuitesparse-dev":
    "cholmod amd umfpack klu suitesparse", "libopenmpi-dev": "mpi ompi", "libgraphviz-dev": "cgraph cdt gvc",
    "libdbus-1-dev": "dbus-1 dbus", "libbz2-dev": "bz2 bzip2", "libzstd-dev": "zstd libzstd", "liblz4-dev":
    "lz4 liblz4", "libhdf5-dev": "hdf5 hdf5_hl hdf5_cpp", "libpq-dev": "pq postgresql libpq", "libsasl2-dev": "sasl2",
    "libedit-dev": "edit", "libreadline-dev": "readline", "libgirepository1.0-dev": "gobject-introspection-1.0",
    "libicu-dev": "icu icuuc icui18n icudata icu-uc icu-i18n", "libopencv-dev": "opencv opencv4",
    "libasio-dev": "asio", "libexpat1-dev": "expat", "libtiff-dev": "tiff tiff4", "liblcms2-dev": "lcms2",
})  # fmt: skip
# First folder or file of an #include, in lower case.
HEADERS = _inverted({
    "zlib1g-dev": "zlib.h", "libssl-dev": "openssl", "libffi-dev": "ffi.h", "libbz2-dev": "bzlib.h", "liblzma-dev":
    "lzma.h", "libcurl4-openssl-dev": "curl", "libjpeg-dev": "jpeglib.h turbojpeg.h", "libpng-dev": "png.h",
    "libtiff-dev": "tiff.h tiffio.h", "libwebp-dev": "webp", "libfreetype-dev": "ft2build.h freetype", "libxml2-dev":
    "libxml", "libxslt1-dev": "libxslt libexslt", "libyaml-dev": "yaml.h", "libsqlite3-dev": "sqlite3.h", "libpq-dev":
    "libpq-fe.h", "default-libmysqlclient-dev": "mysql.h mysql", "libncurses-dev": "curses.h ncurses.h panel.h",
    "libreadline-dev": "readline", "libhdf5-dev": "hdf5.h hdf5", "libnetcdf-dev": "netcdf.h", "libopenblas-dev":
    "cblas.h openblas", "liblapacke-dev": "lapacke.h", "libgmp-dev": "gmp.h gmpxx.h", "libmpfr-dev": "mpfr.h",
    "libmpc-dev": "mpc.h", "libfftw3-dev": "fftw3.h", "libzmq3-dev": "zmq.h", "libx11-dev": "x11", "libgl-dev": "gl",
    "libasound2-dev": "alsa", "libcap-dev": "sys/capability.h", "uuid-dev": "uuid", "libboost-all-dev": "boost",
    "libeigen3-dev": "eigen eigen3", "libglib2.0-dev": "glib.h gio", "libnuma-dev": "numa.h numaif.h", "libsasl2-dev":
    "sasl", "libldap-dev": "lber.h ldap.h", "libkrb5-dev": "gssapi gssapi.h krb5.h krb5", "unixodbc-dev":
    "sql.h sqlext.h", "portaudio19-dev": "portaudio.h", "libsndfile1-dev": "sndfile.h", "libgeos-dev": "geos_c.h geos",
    "libproj-dev": "proj.h", "libgdal-dev": "gdal.h gdal", "libmagic-dev": "magic.h", "libleveldb-dev": "leveldb",
    "libsnappy-dev": "snappy.h snappy-c.h", "liblz4-dev": "lz4.h lz4frame.h", "libzstd-dev": "zstd.h zdict.h",
    "libbrotli-dev": "brotli", "libevent-dev": "event.h event2", "libuv1-dev": "uv.h", "libsodium-dev": "sodium.h",
    "libgsl-dev": "gsl", "libcairo2-dev": "cairo.h cairo", "libdbus-1-dev": "dbus", "libpcap-dev": "pcap.h pcap",
    "libpcre2-dev": "pcre2.h", "libarchive-dev": "archive.h", "libicu-dev": "unicode", "libprotobuf-dev": "google",
    "libopenmpi-dev": "mpi.h", "libgraphviz-dev": "graphviz", "libsuitesparse-dev": "suitesparse cholmod.h umfpack.h",
    "libyajl-dev": "yajl", "librdkafka-dev": "librdkafka", "libtesseract-dev": "tesseract", "liblcms2-dev": "lcms2.h",
    "libopus-dev": "opus", "libavformat-dev": "libavformat", "libavcodec-dev": "libavcodec", "libavutil-dev":
    "libavutil", "libseccomp-dev": "seccomp.h", "libsystemd-dev": "systemd", "libudev-dev": "libudev.h",
    "libusb-1.0-0-dev": "libusb.h libusb-1.0", "libsdl2-dev": "sdl2 sdl.h", "libedit-dev":
    "histedit.h editline", "libexpat1-dev": "expat.h", "libaio-dev": "libaio.h", "libbluetooth-dev": "bluetooth",
    "libvirt-dev": "libvirt", "libfuse3-dev": "fuse3", "libfuse-dev": "fuse.h fuse", "libgpgme-dev": "gpgme.h",
    "nlohmann-json3-dev": "nlohmann", "libfmt-dev": "fmt", "libspdlog-dev": "spdlog", "rapidjson-dev": "rapidjson",
    "libxxhash-dev": "xxhash.h", "libtbb-dev": "tbb oneapi", "libsimde-dev": "simde", "libclang-dev": "clang-c",
})  # fmt: skip
# Headers of Python packages, which the source should require.
PYTHON_HEADERS = {"pybind11": "pybind11", "numpy": "numpy", "nanobind": "nanobind"}


def package_of_library(name: str) -> str:
    """Return the package of `-lNAME` or of pkg-config's module."""
    known = LIBRARIES.get(name) or LIBRARIES.get(name.lower())
    return known or f"lib{re.sub('^lib', '', name.lower()).replace('_', '-')}-dev"


def package_of_header(name: str) -> str | None:
    """Return the package of an #include, None if it is not known."""
    parts = name.lower().split("/")
    return next((HEADERS[key] for key in ("/".join(parts[:2]), parts[0]) if key in HEADERS), None)


def package_of_program(name: str) -> str | None:
    """Return the package of a program, None if it is not known."""
    return PROGRAMS.get(name) or (name if name in SAME_NAME else None)
