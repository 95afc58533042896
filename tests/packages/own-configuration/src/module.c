#include <Python.h>

/* before-build writes it. */
#include "generated.h"

static PyObject *answer(PyObject *self, PyObject *arguments) { return PyLong_FromLong(ANSWER); }

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, "What before-build wrote."}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "own_configuration", NULL, -1, methods};

PyMODINIT_FUNC PyInit_own_configuration(void) { return PyModule_Create(&module); }
