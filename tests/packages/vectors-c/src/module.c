#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "sum.h"

#ifdef BUILT
const long long vectors_c_built = BUILT;
#endif

PyDoc_STRVAR(sum_doc, "sum(values) -> float\n\nAdd 32-bit floats, given as a buffer such as array.array('f').");

static PyObject *module_sum(PyObject *self, PyObject *argument)
{
    Py_buffer view;
    float total;

    (void)self;
    if (PyObject_GetBuffer(argument, &view, PyBUF_CONTIG_RO | PyBUF_FORMAT) != 0)
        return NULL;
    if (view.format == NULL || strcmp(view.format, "f") != 0) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_TypeError, "sum() needs a buffer of 32-bit floats");
        return NULL;
    }
    total = vectors_c_sum(view.buf, (size_t)view.len / sizeof(float));
    PyBuffer_Release(&view);
    return PyFloat_FromDouble(total);
}

static PyMethodDef methods[] = {
    {"sum", module_sum, METH_O, sum_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "vectors_c", "Sums of floats.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_vectors_c(void)
{
    return PyModule_Create(&definition);
}
