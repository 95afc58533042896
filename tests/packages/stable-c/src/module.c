#include <Python.h>

#include <stdlib.h>

PyDoc_STRVAR(number_doc, "number(text) -> float\n\nRead the number that a text begins with.");

static PyObject *module_number(PyObject *self, PyObject *argument)
{
    const char *text = PyUnicode_AsUTF8AndSize(argument, NULL);

    (void)self;
    return text == NULL ? NULL : PyFloat_FromDouble(strtod(text, NULL));
}

static PyMethodDef methods[] = {
    {"number", module_number, METH_O, number_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "stable_c", "Reads numbers.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_stable_c(void)
{
    return PyModule_Create(&definition);
}
