#include <Python.h>
#include <answers.h>
#include <stdlib.h>

static PyObject *ask(PyObject *self, PyObject *arguments)
{
    return PyLong_FromLong(strtol(answer(), NULL, 10));
}

static PyMethodDef methods[] = {{"ask", ask, METH_NOARGS, "What the library answers."}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "asks", NULL, 0, methods};

PyMODINIT_FUNC PyInit_asks(void) { return PyModule_Create(&module); }
